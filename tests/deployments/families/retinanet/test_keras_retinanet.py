"""RetinaNet of keras-retinanet against the outputs of the original code, with weights computed from their names."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deployments.definition import ModelDefinition
from deployments.errors import ModelUnavailable
from deployments.families.contract import Thresholds
from deployments.families.retinanet.keras_retinanet import KerasRetinaNet, read_class_file
from deployments.families.retinanet.keras_retinanet_graph import KerasRetinaNetGraph
from deployments.prediction import Detections
from deployments.runtimes import Runtime
from tests.deployments.families.golden_cases import assert_agrees, pixels_of, wide_and_upright
from tests.deployments.families.small_checkpoints import KerasLayout, golden, write_keras_retinanet
from tests.support.fixtures import FIXTURES

LABELS = tuple(f"class {index}" for index in range(17))
FULL = {padded: golden("keras_retinanet" if padded else "keras_retinanet_resnet_0_2") for padded in (True, False)}
CASES = [(padded, case) for padded, content in FULL.items() for case in content["cases"]]
REFERENCE_IOU = 0.4

RAW_CASES = [case for case in CASES if case[1]["min_side"] < 1000 or FIXTURES is None]
"""The large image only where its photograph is the only one here."""


def case_id(case: Any) -> str:
    padded, content = case
    size = content.get("padded_to") or content["resized"]
    return f"{content['image']}-{size[0]}x{size[1]}-{'padded' if padded else 'same'}-stem"


@pytest.fixture(scope="module", params=[True, False], ids=["padded-stem", "same-stem"])
def padded(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[bool, Path]:
    """Files of full width, as long as the published one."""
    folder = tmp_path_factory.mktemp("keras")
    return {
        padded: write_keras_retinanet(folder / f"{padded}.h5", 17, KerasLayout(padded_stem=padded, narrow=1))
        for padded in (True, False)
    }


@pytest.fixture(scope="module")
def graphs(files: dict[bool, Path]) -> dict[bool, KerasRetinaNetGraph]:
    return {padded: family_of(path, LABELS).build_graph() for padded, path in files.items()}


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_keras_retinanet(tmp_path_factory.mktemp("small") / "small.h5")


def family_of(
    path: Path,
    labels: tuple[str, ...] | None = ("a", "b", "c"),
    canvas_px: tuple[int, int] | None = None,
    **parameters: float | int | str | bool,
) -> KerasRetinaNet:
    definition = ModelDefinition(
        family="keras-retinanet", weights=str(path), labels=labels, canvas_px=canvas_px, parameters=parameters
    )
    return KerasRetinaNet(definition)


def family_of_case(path: Path, case: Any) -> KerasRetinaNet:
    """As the reference takes one image, or, padded, one image of a batch."""
    sides = {"short_edge_px": case["min_side"], "long_edge_px": case["max_side"]}
    if "padded_to" in case:
        return family_of(path, LABELS, tuple(case["padded_to"]), **sides)
    return family_of(path, LABELS, shape="reference", **sides)


def clipped(detections: list[Any], size_px: tuple[int, int]) -> list[Any]:
    """The reference's detections as a caller would clip them."""
    height, width = size_px
    boxes = [np.clip(one["box"], 0, [width, height, width, height]).tolist() for one in detections]
    kept = zip(detections, boxes, strict=True)
    return [{**one, "box": box} for one, box in kept if box[2] > box[0] and box[3] > box[1]]


@pytest.mark.parametrize("case", CASES, ids=case_id)
def test_it_agrees_with_the_reference(
    files: dict[bool, Path], graphs: dict[bool, KerasRetinaNetGraph], case: Any
) -> None:
    padded, content = case
    family = family_of_case(files[padded], content)
    prepared = family.preprocess(pixels_of(content))
    expected_px = content.get("padded_to") or content["resized"]
    assert prepared.canvas.shape == (2 * (expected_px[0] + 1), expected_px[1], 3)
    outputs = tuple(np.asarray(part)[0] for part in graphs[padded](prepared.canvas[None]))
    limits = Thresholds(content["threshold"], REFERENCE_IOU, 300)
    found = family.postprocess(outputs, prepared.geometry, limits)
    assert_agrees(found, clipped(content["detections"], prepared.geometry.source_px))


@pytest.mark.parametrize("case", RAW_CASES, ids=case_id)
def test_raw_levels_agree_with_the_reference(
    files: dict[bool, Path], graphs: dict[bool, KerasRetinaNetGraph], case: Any
) -> None:
    padded, content = case
    canvas = family_of_case(files[padded], content).preprocess(pixels_of(content)).canvas
    levels = graphs[padded].raw(canvas[None])
    logits = np.concatenate([np.asarray(maps).reshape(-1, 17) for maps, _ in levels])
    deltas = np.concatenate([np.asarray(maps).reshape(-1, 4) for _, maps in levels])
    assert len(logits) == content["anchors"]
    wanted = np.array(content["every_997th"])
    np.testing.assert_allclose(deltas[::997], wanted[:, :4], atol=1e-3)
    np.testing.assert_allclose(1 / (1 + np.exp(-logits[::997])), wanted[:, 4:], atol=1e-3)


def test_our_writer_writes_what_keras_writes(files: dict[bool, Path]) -> None:
    """The file is of the published size, to the few kilobytes of what HDF5 leaves free."""
    assert files[True].stat().st_size == pytest.approx(FULL[True]["bytes"], rel=2e-3)
    assert FULL[True]["bytes"] == pytest.approx(145e6, rel=1e-3)


def test_a_batch_gives_what_single_images_give(small: Path, runtime: Runtime) -> None:
    """One upright image and one wide one, on one canvas."""
    family = family_of(small, short_edge_px=96, long_edge_px=160)
    runtime.load(family, [1, 2])
    canvases = [family.preprocess(image).canvas for image in wide_and_upright()]
    for canvas, batched in zip(canvases, runtime.infer(canvases), strict=True):
        (alone,) = runtime.infer([canvas])
        np.testing.assert_allclose(batched[1], alone[1], atol=1e-5)
        np.testing.assert_allclose(batched[0][:50], alone[0][:50], atol=0.05)
        np.testing.assert_array_equal(batched[2][:50], alone[2][:50])


def test_what_lies_outside_the_image_is_not_seen(small: Path) -> None:
    family = family_of(small, short_edge_px=64, long_edge_px=96)
    canvas = family.preprocess(np.full((40, 90, 3), 200, np.uint8)).canvas
    soiled = canvas.copy()
    soiled[50:64] = soiled[65 + 50 : 65 + 64] = 77
    assert not np.array_equal(canvas, soiled)
    graph = family.build_graph()
    np.testing.assert_array_equal(graph(canvas[None])[1], graph(soiled[None])[1])


def test_boxes_come_back_to_an_image_that_was_resized(small: Path) -> None:
    family = family_of(small, short_edge_px=100, long_edge_px=150)
    geometry = family.preprocess(np.zeros((400, 300, 3), np.uint8)).geometry
    assert geometry.gain == pytest.approx(100 / 400)
    outputs = (
        np.array([[10, 20, 30, 40], [-9, 0, 999, 999], [90, 0, 99, 50]], np.float32),
        np.array([0.9, 0.8, 0.7], np.float32),
        np.array([2, 0, 1], np.int32),
    )
    found = family.postprocess(outputs, geometry, Thresholds(0.125, REFERENCE_IOU, 300))
    assert isinstance(found, Detections)
    assert found.boxes.tolist() == [[40, 80, 120, 160], [0, 0, 300, 400]]
    assert found.labels == ("c", "a")


def test_an_image_that_fills_its_canvas_is_resized_as_the_reference_does(small: Path) -> None:
    """928.125 rows round to the 928 of the canvas: the factor is not made smaller for that."""
    prepared = family_of(small, canvas_px=(928, 1650)).preprocess(np.full((1080, 1920, 3), 9, np.uint8))
    assert prepared.geometry.gain == 1650 / 1920
    assert prepared.canvas[927, 1649].tolist() == [9, 9, 9]
    assert prepared.canvas[928, :2, :2].tolist() == [[928 // 256, 928 % 256], [1650 // 256, 1650 % 256]]


def test_boxes_of_different_classes_suppress_each_other(small: Path) -> None:
    family = family_of(small)
    boxes = np.array([[0, 0, 100, 100], [0, 0, 100, 90], [200, 200, 300, 300]], np.float32)
    outputs = (boxes, np.array([0.9, 0.8, 0.7], np.float32), np.array([0, 1, 1], np.int32))
    geometry = family.preprocess(np.zeros((1100, 1650, 3), np.uint8)).geometry
    assert family.postprocess(outputs, geometry, Thresholds(0.125, REFERENCE_IOU, 300)).labels == ("a", "b")
    only = Thresholds(0.125, REFERENCE_IOU, 300, classes=("b",))
    assert family.postprocess(outputs, geometry, only).labels == ("b", "b")


def test_a_thread_of_pixels_is_not_resized_to_nothing(small: Path) -> None:
    prepared = family_of(small).preprocess(np.zeros((1, 4000, 3), np.uint8))
    assert prepared.canvas.shape == (2202, 1650, 3)


@pytest.mark.parametrize("whole", [True, False])
def test_weights_only_give_what_the_whole_model_gives(small: Path, tmp_path: Path, whole: bool) -> None:
    path = write_keras_retinanet(tmp_path / "other.h5", 3, KerasLayout(whole_model=whole))
    canvas = family_of(small, short_edge_px=64, long_edge_px=96).preprocess(np.full((64, 96, 3), 90, np.uint8)).canvas
    ours, wanted = (family_of(file).build_graph()(canvas[None]) for file in (path, small))
    np.testing.assert_array_equal(ours[1], wanted[1])


def test_lower_precision_agrees_roughly(small: Path) -> None:
    canvas = family_of(small, short_edge_px=64, long_edge_px=96).preprocess(np.full((64, 96, 3), 90, np.uint8)).canvas
    half = family_of(small, precision="bfloat16").build_graph()(canvas[None])
    full = family_of(small).build_graph()(canvas[None])
    assert np.asarray(half[1]).dtype == np.float32
    np.testing.assert_allclose(np.asarray(half[1])[:, :20], np.asarray(full[1])[:, :20], atol=0.05)


def test_the_published_class_list_is_read(small: Path, tmp_path: Path) -> None:
    path = write_keras_retinanet(tmp_path / "model.h5")
    (tmp_path / "class_file.csv").write_text("aegina, 0\nbathochordaeus house, 2\natolla, 1\n")
    family = family_of(path, None, class_file="class_file.csv")
    assert family.labels == ("aegina", "atolla", "bathochordaeus house")
    with pytest.raises(ModelUnavailable, match=r"labels and class_file\.csv name different classes"):
        family_of(path, ("x", "y", "z"), class_file="class_file.csv")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a, 0\nb, 0\n", "number 0 stands twice"),
        ("a, 0\nb, 2\n", "2 classes, not numbered 0 to 1"),
        ("a\n", "'a' is not a name and a number"),
        (" , 0\n", "is not a name and a number"),
        ("a, -1\n", "is not a name and a number"),
        ("a, " + "9" * 5000 + "\n", "is not a name and a number"),
        ("", "0 classes"),
    ],
)
def test_a_wrong_class_list_is_refused(tmp_path: Path, text: str, reason: str) -> None:
    (tmp_path / "classes.csv").write_text(text)
    with pytest.raises(ModelUnavailable, match=reason):
        read_class_file(tmp_path / "classes.csv")


def test_a_class_list_that_is_not_there_is_named(small: Path) -> None:
    with pytest.raises(ModelUnavailable, match=r"class_file .*absent\.csv cannot be read"):
        family_of(small, None, class_file="absent.csv")


@pytest.mark.parametrize(
    ("labels", "reason"),
    [
        (None, r"small\.h5 names no classes, so the definition needs `labels` .* it has 3 classes"),
        (("a", "b"), r"small\.h5 has 3 classes, but the definition names 2 labels"),
    ],
)
def test_labels_that_the_head_cannot_have_are_refused(
    small: Path, labels: tuple[str, ...] | None, reason: str
) -> None:
    with pytest.raises(ModelUnavailable, match=reason):
        family_of(small, labels)


def test_a_wrong_parameter_or_canvas_is_named(small: Path) -> None:
    with pytest.raises(ModelUnavailable, match=r"parameters\.short_edge .* known: short_edge_px, long_edge_px"):
        family_of(small, short_edge=720)
    with pytest.raises(ModelUnavailable, match=r"canvas_px \(16, 1650\) must be 32 to 4096"):
        family_of(small, canvas_px=(16, 1650))
    with pytest.raises(ModelUnavailable, match="needs `weights`"):
        KerasRetinaNet(ModelDefinition(family="keras-retinanet"))
