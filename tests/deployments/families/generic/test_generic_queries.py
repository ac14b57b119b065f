"""Networks shaped like RT-DETR, one row for each query, and what is mistaken for one."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from deployments.errors import ModelUnavailable
from deployments.families.generic.generic_outputs import check_values
from deployments.families.generic.generic_signature import GenericParameters
from tests.deployments.families.served import Served
from tests.deployments.families.small_generic_models import save_onnx

CANVAS_PX = (64, 128)
QUERIES = 300
FOUND = {
    3: (0.5, 0.25, 0.25, 0.5, 0.1, 0.9),
    7: (0.25, 0.5, 0.125, 0.25, 0.8, 0.3),
    9: (0.5, 0.25, 0.25, 0.5, 0.4, 0.7),
}
"""Query -> centre and size in parts of the canvas, and a score for each of two classes."""


def queries() -> NDArray[np.float32]:
    rows = np.random.default_rng(1).uniform(0.01, 0.04, (QUERIES, 6)).astype(np.float32)
    for row, values in FOUND.items():
        rows[row] = values
    return rows


def write(path: Path, rows: NDArray[np.float32], **parameters: Any) -> dict[str, Any]:
    """An ONNX file that gives `rows` for each image, whatever is in it."""
    from onnx import TensorProto, helper

    nodes = [
        helper.make_node("ReduceMax", ["images"], ["any"], keepdims=1, axes=[1, 2, 3]),
        helper.make_node("Mul", ["any", "nothing"], ["zero"]),
        helper.make_node("Squeeze", ["zero", "axis"], ["small"]),
        helper.make_node("Add", ["rows", "small"], ["output0"]),
    ]
    constants = {"rows": rows[None], "nothing": np.zeros(1, np.float32), "axis": np.array([3])}
    images = helper.make_tensor_value_info("images", TensorProto.FLOAT, ["n", 3, *CANVAS_PX])
    output = helper.make_tensor_value_info("output0", TensorProto.FLOAT, ["n", *rows.shape])
    save_onnx(path, nodes, [images], [output], constants, ("crab", "fish"))
    declared = {"task": "detector", "resize": "stretch", **parameters}
    return {"family": "onnx", "weights": str(path), "parameters": declared}


def test_each_query_is_an_object_and_none_is_suppressed(tmp_path: Path) -> None:
    model = Served(write(tmp_path / "rtdetr.onnx", queries(), outputs="queries"))
    [found, same] = model.answer([np.zeros((128, 256, 3), np.uint8)] * 2)
    assert found.labels == ("fish", "crab", "fish")
    np.testing.assert_allclose(found.scores, [0.9, 0.8, 0.7])
    np.testing.assert_allclose(found.boxes, [[96, 0, 160, 64], [48, 48, 80, 80], [96, 0, 160, 64]], atol=1e-3)
    np.testing.assert_array_equal(found.boxes, same.boxes)


def test_an_rt_detr_of_two_classes_does_not_pass_as_a_network_with_nms(tmp_path: Path) -> None:
    with pytest.raises(
        ModelUnavailable, match=r"rtdetr\.onnx: outputs: end-to-end has class numbers.*outputs: queries"
    ):
        Served(write(tmp_path / "rtdetr.onnx", queries(), outputs="end-to-end"))


def end_to_end(scale: float) -> NDArray[np.float32]:
    rows = np.random.default_rng(2).uniform(0.1, 0.9, (QUERIES, 6)).astype(np.float32)
    rows[:, :4] *= scale
    rows[:, 5] = np.arange(QUERIES) % 2
    return rows


@pytest.mark.parametrize(
    ("scale", "unit", "told"),
    [(1, "pixels", "parts of the canvas' sides: box_unit: normalised"), (64, "normalised", "box_unit: pixels")],
)
def test_boxes_in_another_unit_than_declared_are_noticed(tmp_path: Path, scale: float, unit: str, told: str) -> None:
    with pytest.raises(ModelUnavailable, match=told):
        Served(write(tmp_path / "other.onnx", end_to_end(scale), outputs="end-to-end", box_unit=unit))


@pytest.mark.parametrize(("scale", "unit"), [(64, "pixels"), (1, "normalised")])
def test_boxes_in_the_declared_unit_pass(tmp_path: Path, scale: float, unit: str) -> None:
    Served(write(tmp_path / "right.onnx", end_to_end(scale), outputs="end-to-end", box_unit=unit))


@pytest.mark.parametrize(
    "rows", [np.zeros((0, 6), np.float32), np.zeros((300, 6), np.float32), np.full((300, 6), 1, np.float32)[:3]]
)
def test_what_finds_nothing_in_an_empty_image_says_nothing_of_its_unit(rows: NDArray[np.float32]) -> None:
    check_values((rows,), GenericParameters(task="detector", outputs="end-to-end"), CANVAS_PX)
