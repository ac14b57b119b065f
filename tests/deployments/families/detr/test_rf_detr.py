"""RF-DETR against the original code: raw outputs and answers, on canvases that it was trained at and on others.

`golden/make_rf_detr.py` says how the files were made: one with the command line of the earlier trainer, one with the
settings of today's and a table of positions that is no square, and one with two levels.
"""

import math
from typing import Any

import numpy as np
import pytest

from deployments.definition import ModelKnobs, Tiling
from deployments.errors import ModelUnavailable
from deployments.families.contract import Thresholds
from deployments.families.detr.rf_detr import RfDetr
from deployments.request import Image, Request
from deployments.serving.decoding import Decoding
from deployments.serving.loaded_model import LoadedModel
from deployments.serving.request_state import CutImage, Received
from tests.deployments.families.detr.rf_detr_files import GOLDEN, LAYOUTS, blots, definition, family_of, golden_of
from tests.deployments.families.golden_cases import assert_agrees, pixels, wide_and_upright
from tests.deployments.families.served import Served

EVERY, MASK_EVERY = 5, 7
ALL = Thresholds(score_threshold=0.05, iou_threshold=0.5, max_detections=300)


def cases(kind: str) -> list[Any]:
    return [
        pytest.param(layout, case, id=f"{layout}-{'x'.join(map(str, case['canvas_px']))}-{case.get('antialias', '')}")
        for layout in LAYOUTS
        for case in golden_of(layout)[kind]
    ]


@pytest.mark.parametrize(("layout", "case"), cases("outputs"))
def test_raw_outputs_agree_with_the_original_code(layout: str, case: Any) -> None:
    import tensorflow as tf

    family = family_of(layout, tuple(case["canvas_px"]))
    canvas = family.preprocess(blots(tuple(case["canvas_px"]))).canvas
    boxes, logits, *masks = family.build_graph().raw(tf.constant(canvas[None]))
    rows = np.concatenate([boxes[0], logits[0]], axis=1)
    assert list(rows.shape) == case["shape"]
    np.testing.assert_allclose(rows[::EVERY], case[f"every_{EVERY}th"], rtol=1e-3, atol=1e-3)
    assert len(masks) == ("masks" in case)
    for logits in masks:
        assert list(logits.shape[1:]) == case["mask_shape"]
        some = np.asarray(logits)[0, ::EVERY, ::MASK_EVERY, ::MASK_EVERY]
        np.testing.assert_allclose(some, case["masks"], rtol=1e-3, atol=2e-3)


@pytest.mark.parametrize(("layout", "case"), cases("predictions"))
def test_answers_agree_with_the_original_code(layout: str, case: Any) -> None:
    family = family_of(layout, tuple(case["canvas_px"]), antialias=case["antialias"])
    found = answers(family, [pixels(GOLDEN / "03_00_51_14.jpg")])[0]
    # The last row of the head is no class; the reference answers it without a name.
    wanted = [
        {"box": box, "score": score, "class_id": class_id}
        for box, score, class_id in zip(case["boxes"], case["scores"], case["class_ids"], strict=True)
        if class_id < len(family.labels)
    ]
    assert len(wanted) > 3
    assert_agrees(found, wanted)
    assert list(found.scores) == sorted(found.scores, reverse=True)


def answers(family: RfDetr, pictures: list[Any], thresholds: Thresholds = ALL) -> list[Any]:
    import tensorflow as tf

    prepared = [family.preprocess(picture) for picture in pictures]
    outputs = family.build_graph()(tf.constant(np.stack([one.canvas for one in prepared])))
    return [
        family.postprocess(tuple(np.asarray(output[row]) for output in outputs), one.geometry, thresholds)
        for row, one in enumerate(prepared)
    ]


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_batch_answers_as_each_image_alone(layout: str) -> None:
    served = Served({"family": "rf-detr", "weights": str(GOLDEN / f"{layout}.pth")})
    pictures = [*wide_and_upright(), pixels(GOLDEN / "03_00_51_14.jpg")]
    together = served.answer(pictures, ALL)
    for picture, batched in zip(pictures, together, strict=True):
        [alone] = served.answer([picture], ALL)
        assert len(alone) > 3
        assert alone.labels == batched.labels
        np.testing.assert_allclose(alone.scores, batched.scores, atol=1e-5)
        np.testing.assert_allclose(alone.boxes, batched.boxes, atol=0.01)


def test_boxes_lie_in_the_image() -> None:
    wide, upright = wide_and_upright()
    for picture, found in zip((wide, upright), answers(family_of("rf-detr-nano"), [wide, upright]), strict=True):
        height, width = picture.shape[:2]
        assert (found.boxes >= 0).all()
        assert (found.boxes <= [width, height, width, height]).all()


def test_the_size_that_it_was_trained_at_is_the_canvas() -> None:
    assert family_of("rf-detr-nano").canvas_px == (2 * 160, 160)
    assert family_of("rf-detr-rectangular").canvas_px == (2 * 96, 160)
    assert family_of("rf-detr-old-large").canvas_px == (2 * 112, 112)


def test_a_tile_has_the_size_of_the_input_and_not_of_the_canvas() -> None:
    layout = "rf-detr-rectangular"
    model = LoadedModel("wide", definition(GOLDEN / f"{layout}.pth"), family_of(layout))
    model.knobs = ModelKnobs(tiling=Tiling(overlap=0, whole_frame=False))
    frame = Request(Image.from_pixels(np.zeros((192, 320, 3), np.uint8)))
    cut = model.prepare(Received(frame, math.inf), Decoding(10**6))
    assert isinstance(cut, CutImage)
    sizes = {(tile.bottom_px - tile.top_px, tile.right_px - tile.left_px) for tile in cut.tiles}
    assert sizes == {(96, 160)}


def test_a_canvas_that_windows_do_not_divide_is_refused_with_the_nearest_one() -> None:
    with pytest.raises(
        ModelUnavailable,
        match=r"rf-detr-nano\.pth: canvas_px \(100, 170\) must be multiples of 32 \(2 windows of patches of 16 "
        r"pixels\), up to 4096; the nearest are \(96, 160\)",
    ):
        family_of("rf-detr-nano", (100, 170))
    with pytest.raises(ModelUnavailable, match=r"must be multiples of 56 \(4 windows of patches of 14 pixels\)"):
        family_of("rf-detr-old-large", (112, 110))
    with pytest.raises(ModelUnavailable, match=r"up to 4096; the nearest are \(4096, 160\)"):
        family_of("rf-detr-nano", (8192, 160))


def test_limits_of_a_request_hold() -> None:
    family = family_of("rf-detr-nano")
    picture = pixels(GOLDEN / "03_00_51_14.jpg")
    [everything] = answers(family, [picture])
    middle = float(np.median(everything.scores))
    [better] = answers(family, [picture], Thresholds(middle, 0.5, 300))
    assert len(better) == (everything.scores > middle).sum()
    [three] = answers(family, [picture], Thresholds(0.05, 0.5, 3))
    np.testing.assert_array_equal(three.scores, everything.scores[:3])
    [fish] = answers(family, [picture], Thresholds(0.05, 0.5, 300, classes=("fish", "whale")))
    np.testing.assert_array_equal(fish.scores, everything.scores[np.array(everything.labels) == "fish"])
    assert set(fish.labels) == {"fish"}


def test_without_nms_the_iou_threshold_has_no_effect_and_with_it_it_has() -> None:
    picture = pixels(GOLDEN / "03_00_51_14.jpg")
    counts = {}
    for name, parameters in {
        "none": {},
        "class": {"nms": True},
        "all": {"nms": True, "class_agnostic": True},
    }.items():
        family = family_of("rf-detr-nano", **parameters)
        counts[name] = [len(answers(family, [picture], Thresholds(0.05, iou, 300))[0]) for iou in (0.0, 1.0)]
    assert counts["none"][0] == counts["none"][1] == counts["class"][1] == counts["all"][1]
    assert counts["all"][0] < counts["class"][0] < counts["none"][0]


@pytest.mark.parametrize("precision", ["bfloat16", "float16"])
def test_half_precision_is_near(precision: str) -> None:
    picture = pixels(GOLDEN / "03_00_51_14.jpg")
    [exact], [near] = (answers(family_of("rf-detr-nano", precision=one), [picture]) for one in ("float32", precision))
    assert abs(float(exact.scores[0]) - float(near.scores[0])) < 0.1


@pytest.mark.parametrize(
    ("parameters", "reason"),
    [
        ({"class_agnostic": True}, "class_agnostic has no effect without nms"),
        ({"iou": 0.5}, "parameters.iou of family 'rf-detr'.*known: nms"),
        ({"first_class_id": 2}, "parameters.first_class_id"),
        ({"precision": "int8"}, "parameters.precision"),
    ],
)
def test_unknown_and_useless_parameters_are_refused(parameters: Any, reason: str) -> None:
    with pytest.raises(ModelUnavailable, match=reason):
        RfDetr(definition(GOLDEN / "rf-detr-nano.pth", parameters=parameters))
