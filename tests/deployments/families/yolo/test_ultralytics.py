"""YOLOv8, 11 and 12 against the outputs of ultralytics itself, through the product's runtime."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deployments.definition import ModelDefinition
from deployments.errors import ModelUnavailable
from deployments.families.contract import Thresholds
from deployments.families.yolo.ultralytics import Ultralytics
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
from tests.deployments.families.yolo.ultralytics_rows import raw_rows
from tests.support.tensorflow_runtime import THREADS

CASES = cases("ultralytics")

# The random YOLO12 turns rounding errors of 1e-7 into pixels on this image: in double precision our own graph
# is as far from float32 as both are from the reference (see `test_where_float32_itself_is_no_closer`).
NOISY = {("yolo12-tiny-random.pt", "bus.jpg")}
NOISY_DETECTIONS = Tolerance(iou=0.97, score=1e-2, box_px=5.0, unmatched=6)


def family_of(fixtures: Path, weights: str, **parameters: float | int | str | bool) -> Ultralytics:
    path = str(fixtures / "weights" / weights)
    return Ultralytics(ModelDefinition(family="ultralytics", weights=path, parameters=parameters))


def family_for(fixtures: Path, case: Any) -> Ultralytics:
    shape = "reference" if case["auto"] else "fixed"
    return family_of(fixtures, case["weights"], shape=shape, class_agnostic=case["agnostic"])


class LoadedRuntimes(dict[str, Runtime]):
    """One loaded runtime for each checkpoint, made when first asked for: cases differ in shapes only."""

    def __init__(self, fixtures: Path) -> None:
        self._fixtures = fixtures

    def __missing__(self, weights: str) -> Runtime:
        runtime = load_runtime("tensorflow", Resources(cpu_threads=THREADS))
        runtime.load(family_of(self._fixtures, weights), [1, 2])
        self[weights] = runtime
        return runtime


@pytest.fixture(scope="module")
def runtimes(fixtures: Path) -> LoadedRuntimes:
    return LoadedRuntimes(fixtures)


@pytest.mark.parametrize("case", CASES, ids=case_id)
def test_detections_agree_with_the_reference(fixtures: Path, runtimes: LoadedRuntimes, case: Any) -> None:
    family = family_for(fixtures, case)
    prepared = family.preprocess(pixels(fixtures / "images" / case["image"]))
    assert list(prepared.canvas.shape[:2]) == case["net_input"][2:]
    (outputs,) = runtimes[case["weights"]].infer([prepared.canvas])
    found = family.postprocess(outputs, prepared.geometry, thresholds(case))
    is_noisy = (case["weights"], case["image"]) in NOISY
    assert_agrees(found, case["detections"], NOISY_DETECTIONS if is_noisy else FAITHFUL)
    assert (np.diff(found.scores) <= 0).all()


@pytest.mark.parametrize("case", CASES, ids=case_id)
def test_raw_rows_agree_with_the_reference(fixtures: Path, case: Any) -> None:
    family = family_for(fixtures, case)
    canvas = family.preprocess(pixels(fixtures / "images" / case["image"])).canvas
    rows = raw_rows(family, fixtures / "weights" / case["weights"], canvas)
    assert [1, rows.shape[1], rows.shape[0]] == case["raw_shape"]
    is_noisy = (case["weights"], case["image"]) in NOISY
    tolerance = 5e-3 if is_noisy else 1e-3
    np.testing.assert_allclose(rows[::997], case["raw_every_997th"], rtol=tolerance, atol=tolerance)


def test_where_float32_itself_is_no_closer(fixtures: Path) -> None:
    """The noisy cases, explained: double precision moves our own boxes by pixels too."""
    path = fixtures / "weights" / "yolo12-tiny-random.pt"
    family = family_of(fixtures, path.name, shape="reference")
    canvas = family.preprocess(pixels(fixtures / "images" / "bus.jpg")).canvas
    single, double = (raw_rows(family, path, canvas, dtype) for dtype in ("float32", "float64"))
    assert 0.5 <= np.abs(single - double)[:, :4].max() <= 20.0


def test_a_batch_gives_what_single_images_give(fixtures: Path, runtimes: LoadedRuntimes) -> None:
    family = family_of(fixtures, "yolo11-tiny-random.pt")
    names = ("bus.jpg", "D0232_03HD_00-00-35.png")
    prepared = [family.preprocess(pixels(fixtures / "images" / name)) for name in names]
    runtime = runtimes["yolo11-tiny-random.pt"]
    together = runtime.infer([one.canvas for one in prepared])
    for one, batched in zip(prepared, together, strict=True):
        (alone,) = runtime.infer([one.canvas])
        limits = Thresholds(0.3, 0.7, 300)
        first, second = (family.postprocess(outputs, one.geometry, limits) for outputs in (alone, batched))
        wanted = [{"box": row.box, "score": row.score, "class_id": family.labels.index(row.label)} for row in first]
        assert_agrees(second, wanted)
        assert len(first) == len(second)


def test_mixed_image_shapes_are_answered_in_order(fixtures: Path, runtimes: LoadedRuntimes) -> None:
    family = family_of(fixtures, "yolov8-tiny-random.pt", shape="reference")
    names = ("bus.jpg", "D0232_03HD_00-00-35.png", "bus.jpg")
    canvases = [family.preprocess(pixels(fixtures / "images" / name)).canvas for name in names]
    first, second, third = runtimes["yolov8-tiny-random.pt"].infer(canvases)
    np.testing.assert_allclose(first[1], third[1], atol=1e-5)
    assert len(first[1]) == 640 * 480 // 64 * 21 // 16 != len(second[1]), "each cell of each image, and no others"


def test_labels_and_size_come_from_the_checkpoint(fixtures: Path) -> None:
    family = family_of(fixtures, "yolov8-tiny-random.pt")
    assert family.labels == ("Sea star", "Sea cucumber", "Urchin", "Fish", "Crab")
    assert family.canvas_px == (640, 640)


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_lower_precision_keeps_the_boxes_near(fixtures: Path, runtime: Runtime, precision: str) -> None:
    image = pixels(fixtures / "images" / "D0232_03HD_00-00-35.png")
    outputs = []
    for name in ("float32", precision):
        path = str(fixtures / "weights" / "yolov8-tiny-random.pt")
        family = Ultralytics(
            ModelDefinition(family="ultralytics", weights=path, canvas_px=(192, 320), parameters={"precision": name})
        )
        runtime.load(family, [1])
        outputs.append(runtime.infer([family.preprocess(image).canvas])[0])
    assert outputs[1][0].dtype == np.float32
    np.testing.assert_allclose(outputs[0][1], outputs[1][1], atol=0.03)


def refused(reason: str, fixtures: Path, weights: str = "yolov8-tiny-random.pt", **fields: Any) -> None:
    with pytest.raises(ModelUnavailable, match=reason):
        Ultralytics(ModelDefinition(family="ultralytics", weights=str(fixtures / "weights" / weights), **fields))


def test_another_family_s_checkpoint_is_refused(fixtures: Path) -> None:
    refused(
        r"yolov5n\.pt: holds a models\.yolo\.Model, but family 'ultralytics' expects one of ultralytics\.nn",
        fixtures,
        weights="yolov5n.pt",
    )


def test_labels_that_disagree_with_the_head_are_refused(fixtures: Path) -> None:
    refused(r"has 5 classes, but the definition names 2 labels", fixtures, labels=("Fish", "Crab"))


def test_a_canvas_that_does_not_divide_is_refused(fixtures: Path) -> None:
    refused(
        r"canvas_px \(720, 1280\) must be multiples of 32.* nearest are \(704, 1280\)",
        fixtures,
        canvas_px=(720, 1280),
    )


@pytest.mark.parametrize(
    ("parameters", "reason"),
    [
        ({"shpae": "fixed"}, r"parameters\.shpae of family 'ultralytics': Extra inputs .* known: shape, precision"),
        ({"shape": "square"}, r"parameters\.shape .* 'fixed' or 'reference'"),
        ({"candidates": 0}, r"parameters\.candidates .* greater than or equal to 1"),
        ({"legacy_worker": True}, r"parameters\.legacy_worker .* Extra inputs"),
    ],
)
def test_wrong_parameters_are_refused(fixtures: Path, parameters: dict[str, Any], reason: str) -> None:
    refused(reason, fixtures, parameters=parameters)


def test_a_definition_without_weights_is_refused() -> None:
    with pytest.raises(ModelUnavailable, match="family 'ultralytics' needs `weights`"):
        Ultralytics(ModelDefinition(family="ultralytics"))
