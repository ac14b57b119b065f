"""YOLOv5 against the outputs of ultralytics/yolov5 itself, through the product's runtime."""

import json
from pathlib import Path
from typing import Any

import cv2
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
    GOLDEN,
    Tolerance,
    assert_agrees,
    case_id,
    cases,
    pixels,
    thresholds,
)
from tests.deployments.families.yolo.yolov5_rows import raw_rows
from tests.support.tensorflow_runtime import THREADS

# The case of the legacy worker there was letterboxed in uint8, as the worker itself did not: see `OTHER_CASES`.
CASES = [case for case in cases("yolov5n") if case is None or "legacy" not in case["channels"]]
OTHER_CASES = json.loads((GOLDEN / "yolov5_worker.json").read_text())

# The legacy worker rounded its boxes, which the reference outputs are not: half a pixel is right there, and the
# IoU of a small box suffers accordingly.
ROUNDED = Tolerance(iou=0.9, score=2e-4, box_px=0.51)
VAL = Tolerance(score=2e-5, box_px=0.1)


def family_of(fixtures: Path, **parameters: float | int | str | bool) -> YOLOv5:
    path = str(fixtures / "weights" / "yolov5n.pt")
    return YOLOv5(ModelDefinition(family="yolov5", weights=path, parameters=parameters))


def family_for(fixtures: Path, case: Any) -> YOLOv5:
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
    assert_agrees(found, case["detections"], FAITHFUL)


@pytest.mark.parametrize("case", [one for one in OTHER_CASES if one["kind"] == "worker"], ids=lambda c: c["image"])
def test_the_legacy_worker_s_detections_agree(fixtures: Path, runtime: Runtime, case: Any) -> None:
    family = family_of(fixtures, legacy_worker=True)
    runtime.load(family, [1])
    found = detect(family, runtime, pixels(fixtures / "images" / case["image"]), thresholds(case))
    assert_agrees(found, case["detections"], ROUNDED)


@pytest.mark.parametrize("case", [one for one in OTHER_CASES if one["kind"] == "val"], ids=lambda c: c["image"])
def test_a_box_has_all_its_classes_as_in_val(fixtures: Path, runtime: Runtime, case: Any) -> None:
    family = family_of(fixtures, multi_label=True, candidates=30_000)
    runtime.load(family, [1])
    found = detect(family, runtime, pixels(fixtures / "images" / case["image"]), thresholds(case))
    assert_agrees(found, case["detections"], VAL)


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
    image = np.random.default_rng(height).integers(0, 256, (height, height - 100, 3), np.uint8)
    canvas = family_of(fixtures, legacy_worker=True).preprocess(image).canvas
    assert canvas.shape == (2 * side, side, 3)
    width = round((height - 100) * side / height)
    resized = cv2.resize(np.float32(image[..., ::-1]), (width, side), interpolation=cv2.INTER_LINEAR)
    left = (side - width) // 2
    numbers = canvas[:side] + canvas[side:] / 256
    np.testing.assert_allclose(numbers[:, left : left + width], resized, atol=1 / 400)
    assert (numbers[:, :left] == 114).all()


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


def test_fewer_candidates_are_the_best_ones(fixtures: Path, loaded: Runtime) -> None:
    image, limits = pixels(fixtures / "images" / "bus.jpg"), Thresholds(0.01, 1.0, 1000)
    few = detect(family_of(fixtures, candidates=5), loaded, image, limits)
    many = detect(family_of(fixtures), loaded, image, limits)
    assert len(few) == 5 < len(many)
    np.testing.assert_array_equal(few.scores, many.scores[:5])


def test_scores_of_all_classes_have_a_limit(fixtures: Path, runtime: Runtime) -> None:
    definition = ModelDefinition(
        family="yolov5",
        weights=str(fixtures / "weights" / "yolov5n.pt"),
        canvas_px=(1984, 1984),
        parameters={"multi_label": True},
    )
    with pytest.raises(ModelUnavailable, match=r"multi_label: this canvas has 242172 boxes of 80 classes, 19373760"):
        runtime.load(YOLOv5(definition), [1])


def test_another_family_s_checkpoint_is_refused(fixtures: Path) -> None:
    path = str(fixtures / "weights" / "yolo11-tiny-random.pt")
    with pytest.raises(
        ModelUnavailable, match=r"holds a ultralytics\.nn\.tasks\.DetectionModel, but family 'yolov5'"
    ):
        YOLOv5(ModelDefinition(family="yolov5", weights=path))


def test_the_legacy_worker_has_one_canvas(fixtures: Path) -> None:
    with pytest.raises(ModelUnavailable, match=r"legacy_worker needs canvas_px \(640, 640\) and shape 'fixed'"):
        family_of(fixtures, legacy_worker=True, shape="reference")
    with pytest.raises(ModelUnavailable, match="legacy_worker answers the best class of each box, not multi_label"):
        family_of(fixtures, legacy_worker=True, multi_label=True)
