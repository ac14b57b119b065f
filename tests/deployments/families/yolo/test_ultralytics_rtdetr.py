"""RT-DETR of ultralytics, against the original code (`golden/make_ultralytics_rtdetr.py`), and what is refused."""

from typing import Any

import numpy as np
import pytest

from deployments.checkpoints import ModuleStub, open_checkpoint
from deployments.definition import ModelDefinition
from deployments.errors import ModelUnavailable
from deployments.families import load_family
from deployments.families.contract import Thresholds
from deployments.families.yolo.heads.rtdetr_head import check_rtdetr_head
from deployments.families.yolo.ultralytics_rtdetr import UltralyticsRTDETR
from deployments.families.yolo.yolo_layout import read_layout
from deployments.runtimes import Runtime
from tests.deployments.families.golden_cases import Tolerance, assert_agrees
from tests.deployments.families.yolo.heads.original_answers import (
    CANVAS_PX,
    GOLDEN,
    golden_of,
    image,
    limits_of,
    picture,
)

LAYOUTS = ("rtdetr-l", "rtdetr-resnet")
ALL = Thresholds(0.0, 0.0, 300)


def family_of(layout: str = "rtdetr-l", **fields: Any) -> UltralyticsRTDETR:
    given = {"weights": str(GOLDEN / f"{layout}.pt"), "canvas_px": CANVAS_PX} | fields
    found = load_family(ModelDefinition(family="ultralytics-rtdetr", **given))
    assert isinstance(found, UltralyticsRTDETR)
    return found


def outputs_of(family: UltralyticsRTDETR, canvas: Any) -> tuple[Any, ...]:
    import tensorflow as tf

    return tuple(np.asarray(one[0]) for one in family.build_graph()(tf.constant(canvas[None])))


@pytest.mark.parametrize("layout", LAYOUTS)
def test_raw_rows_agree_with_the_original_code(layout: str) -> None:
    boxes, scores, classes = outputs_of(family_of(layout), image())
    rows = np.array(golden_of(layout)["rows"])
    np.testing.assert_allclose(scores, rows[:, 4], atol=1e-4)
    np.testing.assert_array_equal(classes, rows[:, 5])
    ours = np.concatenate([(boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]], axis=1)
    np.testing.assert_allclose(ours, rows[:, :4], atol=1e-3)


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("number", [0, 1])
def test_answers_agree_with_the_original_code(layout: str, number: int) -> None:
    golden, family = golden_of(layout), family_of(layout)
    prepared = family.preprocess(picture(number))
    found = family.postprocess(outputs_of(family, prepared.canvas), prepared.geometry, limits_of(golden))
    wanted = golden["answers"][number]["detections"]
    assert wanted
    height, width = picture(number).shape[:2]
    for row in wanted:
        # The original doesn't clip its boxes.
        row["box"] = np.clip(row["box"], 0, [width, height] * 2).tolist()
    assert_agrees(found, wanted, Tolerance(iou=0.98))


def test_a_batch_gives_what_single_images_give(runtime: Runtime) -> None:
    family = family_of()
    runtime.load(family, [1, 2])
    canvases = [family.preprocess(picture(number)).canvas for number in (0, 1)]
    for canvas, batched in zip(canvases, runtime.infer(canvases), strict=True):
        (alone,) = runtime.infer([canvas])
        np.testing.assert_allclose(alone[1], batched[1], atol=1e-4)
        np.testing.assert_allclose(alone[0], batched[0], atol=1e-3)


@pytest.mark.parametrize("canvas_px", [(64, 64), (96, 160), (256, 128)])
def test_any_canvas_will_do(canvas_px: tuple[int, int]) -> None:
    family = family_of(canvas_px=canvas_px)
    prepared = family.preprocess(picture(1))
    found = family.postprocess(outputs_of(family, prepared.canvas), prepared.geometry, ALL)
    assert len(found) > 5
    assert (found.boxes >= 0).all()
    assert (found.boxes <= np.array([100, 150, 100, 150])).all()
    assert (np.diff(found.scores) <= 0).all()


def test_thresholds_classes_and_the_size_of_the_training() -> None:
    family = family_of(canvas_px=None)
    assert family.canvas_px == (192, 192)
    prepared = family.preprocess(picture(0))
    outputs = outputs_of(family, prepared.canvas)
    found = family.postprocess(outputs, prepared.geometry, Thresholds(0.3, 0.5, 3, ("coral", "fish")))
    assert 0 < len(found) <= 3
    assert set(found.labels) <= {"coral", "fish"}
    assert (found.scores > 0.3).all()


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"canvas_px": (100, 100)}, "must be multiples of 32"),
        ({"labels": ("a",)}, "has 4 classes, but the definition names 1 labels"),
        ({"parameters": {"candidates": 3}}, "parameters.candidates of family 'ultralytics-rtdetr'"),
        (
            {"weights": str(GOLDEN / "yolov8-p6.pt")},
            "DetectionModel, .*; family ultralytics is for such files",
        ),
    ],
)
def test_what_does_not_fit_is_refused(fields: dict[str, Any], reason: str) -> None:
    with pytest.raises(ModelUnavailable, match=reason):
        family_of(**fields)


def said(**state: Any) -> Any:
    def change(head: ModuleStub) -> None:
        head.state = {**head.state, **state}

    return change


def decoder_said(**state: Any) -> Any:
    def change(head: ModuleStub) -> None:
        head.child("decoder").state = {**head.child("decoder").state, **state}

    return change


def unknown_layer(head: ModuleStub) -> None:
    head.child("enc_output").state["_modules"]["0"] = ModuleStub("models.common.Surprise")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (said(num_queries=10**9), "the head has 1000000000 queries, expected 1 to 3000"),
        (said(num_queries=0), "the head has 0 queries"),
        (said(learnt_init_query=True), "learnt queries, which are not supported"),
        (decoder_said(eval_idx=7), "the head has 3 layers, of which number 7 answers"),
        (decoder_said(eval_idx=-1), "of which number -1 answers"),
        (unknown_layer, "unknown layer models.common.Surprise"),
    ],
)
def test_a_head_that_says_something_impossible_is_refused(change: Any, reason: str) -> None:
    family = family_of()
    with open_checkpoint(GOLDEN / "rtdetr-l.pt") as checkpoint:
        head = read_layout(checkpoint, family.kind).head.stub
        change(head)
        with pytest.raises(ModelUnavailable, match=reason):
            check_rtdetr_head(head, 3, family.blocks)
