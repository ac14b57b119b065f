"""YOLOv5 against the outputs of ultralytics/yolov5 itself, through the product's runtime."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from deployments.definition import ModelDefinition
from deployments.errors import ModelUnavailable
from deployments.families.contract import Thresholds
from deployments.families.yolo.yolov5 import YOLOv5
from deployments.prediction import Detections
from deployments.runtimes import Resources, Runtime, load_runtime
from tests.deployments.families.golden_cases import (
    FAITHFUL,
    Tolerance,
    assert_agrees,
    case_id,
    cases,
    pixels,
    thresholds,
)
from tests.deployments.families.yolo.yolov5_rows import raw_rows
from tests.support.tensorflow_runtime import THREADS

CASES = cases("yolov5n")

# The legacy worker rounded its boxes, which the reference outputs are not: half a pixel is right there, and the
# IoU of a box 16 px wide suffers accordingly.
ROUNDED = Tolerance(iou=0.95)


def family_of(fixtures: Path, **parameters: float | int | str | bool) -> YOLOv5:
    path = str(fixtures / "weights" / "yolov5n.pt")
    return YOLOv5(ModelDefinition(family="yolov5", weights=path, parameters=parameters))


def family_for(fixtures: Path, case: Any) -> YOLOv5:
    if "legacy" in case["channels"]:
        return family_of(fixtures, legacy_worker=True)
    shape = "reference" if case["auto"] else "fixed"
    return family_of(fixtures, shape=shape, class_agnostic=case["agnostic"])


@pytest.fixture(scope="module")
def loaded(fixtures: Path) -> Runtime:
    """The network of yolov5n.pt: all cases share it, as they differ in preprocessing and postprocessing only."""
    runtime = load_runtime("tensorflow", Resources(cpu_threads=THREADS))
    runtime.load(family_of(fixtures), [1, 2])
    return runtime


def detect(family: YOLOv5, runtime: Runtime, image: NDArray[np.uint8], limits: Thresholds) -> Detections:
    prepared = family.preprocess(image)
    (outputs,) = runtime.infer([prepared.canvas])
    return family.postprocess(outputs, prepared.geometry, limits)


@pytest.mark.parametrize("case", CASES, ids=case_id)
def test_detections_agree_with_the_reference(fixtures: Path, loaded: Runtime, case: Any) -> None:
    family = family_for(fixtures, case)
    image = pixels(fixtures / "images" / case["image"])
    assert list(family.preprocess(image).canvas.shape[:2]) == case["net_input"][2:]
    found = detect(family, loaded, image, thresholds(case))
    assert_agrees(found, case["detections"], ROUNDED if family.parameters.legacy_worker else FAITHFUL)


@pytest.mark.parametrize("case", CASES, ids=case_id)
def test_raw_rows_agree_with_the_reference(fixtures: Path, case: Any) -> None:
    family = family_for(fixtures, case)
    canvas = family.preprocess(pixels(fixtures / "images" / case["image"])).canvas
    rows = raw_rows(family, fixtures / "weights" / "yolov5n.pt", canvas)
    assert rows.shape == (case["raw_rows"], 85)
    assert rows.sum() == pytest.approx(case["raw_sum"], rel=1e-5)
    assert np.abs(rows).max() == pytest.approx(case["raw_abs_max"], rel=1e-5)


def test_people_and_the_bus_are_found(fixtures: Path, loaded: Runtime) -> None:
    found = detect(family_of(fixtures), loaded, pixels(fixtures / "images" / "bus.jpg"), Thresholds(0.25, 0.45, 300))
    assert sorted(found.labels) == ["bus", "person", "person", "person"]


def test_the_legacy_worker_answers_whole_pixels_worst_first(fixtures: Path, loaded: Runtime) -> None:
    image = pixels(fixtures / "images" / "bus.jpg")
    found = detect(family_of(fixtures, legacy_worker=True), loaded, image, Thresholds(0.9, 0.9, 1))
    assert len(found) == 9, "its own thresholds count, not those of the request"
    assert (np.diff(found.scores) >= 0).all()
    np.testing.assert_array_equal(found.boxes, np.round(found.boxes))


@pytest.mark.parametrize(("height", "side"), [(960, 640), (961, 1280)])
def test_the_legacy_worker_swaps_colours_and_doubles_above_960_px(fixtures: Path, height: int, side: int) -> None:
    image = np.zeros((height, height, 3), np.uint8)
    image[..., 0] = 200
    canvas = family_of(fixtures, legacy_worker=True).preprocess(image).canvas
    assert canvas.shape == (side, side, 3)
    assert canvas[side // 2, side // 2].tolist() == [0, 0, 200]


def test_only_the_classes_asked_for_are_answered(fixtures: Path, loaded: Runtime) -> None:
    limits = Thresholds(0.25, 0.45, 300, classes=("bus", "whale"))
    found = detect(family_of(fixtures), loaded, pixels(fixtures / "images" / "bus.jpg"), limits)
    assert found.labels == ("bus",)


def test_a_batch_gives_what_single_images_give(fixtures: Path, loaded: Runtime) -> None:
    family = family_of(fixtures)
    names = ("bus.jpg", "D0232_03HD_00-00-35.png")
    prepared = [family.preprocess(pixels(fixtures / "images" / name)) for name in names]
    together = loaded.infer([one.canvas for one in prepared])
    for one, batched in zip(prepared, together, strict=True):
        (alone,) = loaded.infer([one.canvas])
        np.testing.assert_allclose(batched[1], alone[1], atol=1e-4)
        np.testing.assert_allclose(batched[0][:20], alone[0][:20], atol=0.1)


def test_fewer_candidates_are_the_best_ones(fixtures: Path, runtime: Runtime, loaded: Runtime) -> None:
    family = family_of(fixtures, candidates=5)
    runtime.load(family, [1])
    canvas = family.preprocess(pixels(fixtures / "images" / "bus.jpg")).canvas
    (few,), (many,) = runtime.infer([canvas]), loaded.infer([canvas])
    assert few[1].shape == (5,)
    np.testing.assert_allclose(few[1], many[1][:5], atol=1e-5)
    np.testing.assert_allclose(few[0], many[0][:5], atol=1e-2)


def test_another_family_s_checkpoint_is_refused(fixtures: Path) -> None:
    path = str(fixtures / "weights" / "yolo11-tiny-random.pt")
    with pytest.raises(
        ModelUnavailable, match=r"holds a ultralytics\.nn\.tasks\.DetectionModel, but family 'yolov5'"
    ):
        YOLOv5(ModelDefinition(family="yolov5", weights=path))


def test_the_legacy_worker_has_one_canvas(fixtures: Path) -> None:
    with pytest.raises(ModelUnavailable, match=r"legacy_worker needs canvas_px \(640, 640\) and shape 'fixed'"):
        family_of(fixtures, legacy_worker=True, shape="reference")
