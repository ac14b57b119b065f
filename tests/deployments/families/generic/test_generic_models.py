"""Networks that somebody else made, in three formats, through the product's runtimes."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from deployments.families.contract import Thresholds
from deployments.prediction import ClassScores, Detections
from tests.deployments.families.served import Served
from tests.deployments.families.small_generic_models import (
    BLUE_CELL,
    CLASSIFIER_LABELS,
    CLASSIFIERS,
    DETECTORS,
    RED_CELL,
    SHARPNESS,
    cell_box,
    drawing,
    save_onnx,
    write_onnx_classifier,
    write_onnx_detector,
)

PICTURES = [drawing(), drawing(scale=3), drawing(scale=2, pad_px=(0, 128)), drawing(scale=2, pad_px=(128, 0))]


def rows(found: Detections) -> list[tuple[str, list[float]]]:
    return sorted((one.label, [round(edge, 1) for edge in one.box]) for one in found)


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Served]:
    """A file of the tables of writers, written and loaded once."""
    folder = tmp_path_factory.mktemp("models")
    loaded: dict[str, Served] = {}

    def of(name: str) -> Served:
        if name not in loaded:
            loaded[name] = Served((DETECTORS | CLASSIFIERS)[name](folder / name))
        return loaded[name]

    return of


@pytest.mark.parametrize("name", DETECTORS)
def test_a_detector_finds_both_cells_where_they_are(served: Callable[[str], Served], name: str) -> None:
    [found] = served(name).answer([drawing(scale=3)])
    assert rows(found) == [("blue", cell_box(BLUE_CELL, 3)), ("red", cell_box(RED_CELL, 3))]
    np.testing.assert_allclose(found.scores, 1.0, atol=1e-5)


@pytest.mark.parametrize("name", [*DETECTORS, *CLASSIFIERS])
def test_a_batch_of_mixed_sizes_gives_what_single_images_give(served: Callable[[str], Served], name: str) -> None:
    pictures = [*PICTURES, PICTURES[0]]
    model = served(name)
    together, alone = model.answer(pictures), [model.answer([picture])[0] for picture in pictures]
    for one, other in zip(together, alone, strict=True):
        np.testing.assert_allclose(one.scores, other.scores, atol=1e-6)
        if isinstance(one, Detections):
            np.testing.assert_allclose(one.boxes, other.boxes, atol=1e-3)


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_a_classifier_gives_probabilities_in_the_order_of_its_labels(
    served: Callable[[str], Served], name: str
) -> None:
    picture = np.full((50, 90, 3), (255, 51, 0), np.uint8)
    [found] = served(name).answer([picture])
    powers = np.exp(SHARPNESS * np.array([1.0, 0.2, 0.0]))
    assert isinstance(found, ClassScores)
    assert found.labels == CLASSIFIER_LABELS
    np.testing.assert_allclose(found.scores, powers / powers.sum(), atol=1e-5)


@pytest.mark.parametrize("name", DETECTORS)
def test_thresholds_are_inputs_of_each_request(served: Callable[[str], Served], name: str) -> None:
    model = served(name)
    [only_red] = model.answer([drawing()], Thresholds(0.25, 0.5, 100, classes=("red", "unheard of")))
    [one] = model.answer([drawing()], Thresholds(0.25, 0.5, 1))
    faint = (drawing() // 2).astype(np.uint8)
    assert only_red.labels == ("red",)
    assert len(one) == 1
    assert len(model.answer([faint], Thresholds(0.6, 0.5, 100))[0]) == 0
    assert len(model.answer([faint], Thresholds(0.4, 0.5, 100))[0]) == 2


def test_an_onnx_file_may_compute_in_float16(tmp_path: Path) -> None:
    model = Served(write_onnx_detector(tmp_path / "half.onnx", np.float16))
    [found] = model.answer([drawing(scale=2)])
    assert rows(found) == [("blue", cell_box(BLUE_CELL, 2)), ("red", cell_box(RED_CELL, 2))]


@pytest.mark.parametrize("count", [1, 3, 5])
def test_an_onnx_file_may_take_one_batch_size_only(tmp_path: Path, count: int) -> None:
    model = Served(write_onnx_detector(tmp_path / "three.onnx", batch=3))
    assert [len(found) for found in model.answer([drawing()] * count)] == [2] * count


def test_the_channels_of_an_onnx_file_may_come_last(tmp_path: Path) -> None:
    from onnx import TensorProto, helper

    nodes = [helper.make_node("ReduceMean", ["images"], ["means"], axes=[1, 2], keepdims=0)]
    images = helper.make_tensor_value_info("images", TensorProto.FLOAT, ["n", 32, 32, 3])
    means = helper.make_tensor_value_info("means", TensorProto.FLOAT, ["n", 3])
    save_onnx(tmp_path / "last.onnx", nodes, [images], [means], {}, CLASSIFIER_LABELS)
    parameters = {
        "task": "classifier",
        "channels": "bgr",
        "pixel_range": "-1..1",
        "mean": "0, 0.5, 0",
        "std": "1, 1, 2",
    }
    args = {"family": "onnx", "weights": str(tmp_path / "last.onnx"), "parameters": parameters}
    [found] = Served(args).answer([np.full((32, 32, 3), (255, 51, 0), np.uint8)])
    np.testing.assert_allclose(found.scores, [-1.0, -1.1, 0.5], atol=1e-4)


def test_the_colours_may_be_in_the_other_order(tmp_path: Path) -> None:
    args = write_onnx_classifier(tmp_path / "bgr.onnx")
    args["parameters"] |= {"channels": "bgr", "activation": "none"}
    [found] = Served(args).answer([np.full((32, 32, 3), (255, 102, 0), np.uint8)])
    np.testing.assert_allclose(found.scores, SHARPNESS * np.array([0.0, 0.4, 1.0]), atol=1e-5)


def test_mean_and_std_are_those_of_the_networks_channels(tmp_path: Path) -> None:
    args = write_onnx_classifier(tmp_path / "normalised.onnx")
    args["parameters"] |= {"mean": "0.5, 0.25, 0", "std": 0.5, "activation": "none"}
    [found] = Served(args).answer([np.full((32, 32, 3), (255, 51, 0), np.uint8)])
    np.testing.assert_allclose(found.scores, SHARPNESS * np.array([1.0, -0.1, 0.0]), atol=1e-5)
