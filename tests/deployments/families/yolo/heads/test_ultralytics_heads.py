"""Masks, keypoints and rotated boxes of ultralytics, against the original code (`golden/make_ultralytics_heads.py`).

The raw head of all generations, and what the predictor of each task answers: with both heads of YOLO26, of files that
were saved after `fuse()`, and of one as its trainer leaves it after an epoch.
"""

import numpy as np
import pytest

from deployments.checkpoints import open_checkpoint
from deployments.families.contract import Thresholds
from deployments.families.shared.anchor_free import Cells
from deployments.families.yolo.layers.torch_layers import LayerBuilder
from deployments.families.yolo.ultralytics import Ultralytics, head_of
from deployments.families.yolo.yolo_graph import build_body
from deployments.families.yolo.yolo_layout import read_layout
from deployments.runtimes import Runtime
from tests.deployments.families.yolo.heads.original_answers import (
    GOLDEN,
    answered,
    assert_same_detections,
    family_of,
    golden_of,
    image,
    limits_of,
    picture,
)

TWO_HEADS = ("yolo26-seg-unstripped", "yolo26-pose", "yolo26-obb")
FUSED = ("yolo26-seg-fused", "yolo26-pose-fused")
ONE_HEAD = ("yolov8-seg", "yolo11-pose", "yolov8-pose-xy", "yolo11-obb")
CASES = [
    (layout, number)
    for layouts, answers in (((*ONE_HEAD, *FUSED), 2), (TWO_HEADS, 4))
    for layout in layouts
    for number in range(answers)
]
EVERY = 17


@pytest.mark.parametrize("layout", [*ONE_HEAD, *TWO_HEADS])
def test_the_raw_head_agrees_with_the_original_code(layout: str) -> None:
    import tensorflow as tf

    golden = golden_of(layout)
    family = family_of(layout, **({"head": "one-to-many"} if layout in TWO_HEADS else {}))
    assert isinstance(family, Ultralytics)
    with open_checkpoint(GOLDEN / f"{layout}.pt") as checkpoint:
        layout_read = read_layout(checkpoint, family.kind)
        builder, head = LayerBuilder(family.blocks), head_of(layout_read)
        whole_image = head.whole_image(layout_read.head.stub, builder, layout_read.strides_px[0])
        body = build_body(layout_read, builder, tuple)
        maps = family.make_head_maps(layout_read, builder)
        features = body(tf.constant(image()[None]))
    cells = Cells(maps(features), layout_read.head.stub.integer("reg_max"))
    boxes, *besides = (np.asarray(one[0]) for one in head.decoded(cells.places))
    if boxes.shape[1] == 4:
        boxes = np.concatenate([(boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]], axis=1)
    else:
        boxes, besides = boxes[:, :4], [boxes[:, 4:]]
    scores = np.asarray(tf.sigmoid(cells.logits[0]))
    besides = [one[..., :2] if layout.endswith("-xy") else one for one in besides]
    rows = np.concatenate([boxes, scores, *(one.reshape(len(boxes), -1) for one in besides)], axis=1)
    assert list(rows.T.shape) == golden["shape"]
    np.testing.assert_allclose(rows[::EVERY], golden[f"every_{EVERY}th"], rtol=1e-3, atol=1e-3)
    for prototypes in whole_image(features):
        ours = np.asarray(prototypes[0]).transpose(2, 0, 1)[:, ::7, ::11]
        np.testing.assert_allclose(ours, golden["prototypes"], rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(("layout", "number"), CASES)
def test_answers_agree_with_the_original_code(layout: str, number: int) -> None:
    golden = golden_of(layout)
    case = golden["answers"][number]
    family = family_of(layout, **({"head": case["head"]} if case["head"] else {}))
    found, geometry = answered(family, layout, case["image"], limits_of(golden))
    assert_same_detections(found, geometry, case["detections"])
    if layout.endswith("-xy"):
        assert found.keypoints is not None
        assert (found.keypoints[..., 2] == 1).all(), "nothing is said about whether a point is seen"


@pytest.mark.parametrize("layout", ["yolov8-seg", "yolo26-pose"])
def test_a_batch_gives_what_single_images_give(runtime: Runtime, layout: str) -> None:
    family, limits = family_of(layout), Thresholds(0.3, 0.6, 20)
    runtime.load(family, [1, 2])
    prepared = [family.preprocess(picture(number)) for number in (0, 1)]
    together = runtime.infer([one.canvas for one in prepared])
    for one, batched in zip(prepared, together, strict=True):
        (alone,) = runtime.infer([one.canvas])
        first, second = (family.postprocess(outputs, one.geometry, limits) for outputs in (alone, batched))
        assert first.labels == second.labels
        assert len(first)
        np.testing.assert_allclose(first.boxes, second.boxes, atol=0.01)
        for ours, theirs in ((first.keypoints, second.keypoints), (first.corners, second.corners)):
            assert (ours is None) == (theirs is None)
            if ours is not None:
                np.testing.assert_allclose(ours, theirs, atol=0.01)
        if first.masks is not None and second.masks is not None:
            differing = [(first.masks.dense(i) != second.masks.dense(i)).mean() for i in range(len(first))]
            assert max(differing) < 1e-3


@pytest.mark.parametrize("canvas_px", [(64, 64), (160, 96)])
@pytest.mark.parametrize("layout", ["yolo26-seg-fused", "yolo11-pose", "yolo11-obb"])
def test_any_canvas_will_do(layout: str, canvas_px: tuple[int, int]) -> None:
    found, geometry = answered(family_of(layout, canvas_px), layout, 0, Thresholds(0.2, 0.6, 10))
    assert 0 < len(found) <= 10
    assert (np.diff(found.scores) <= 0).all()
    if found.masks is not None:
        assert found.masks.size_px == geometry.resized_px
        assert len(found.masks) == len(found)


@pytest.mark.parametrize("layout", ["yolov8-seg", "yolo11-pose", "yolo11-obb"])
def test_classes_and_thresholds_hold_for_every_head(layout: str) -> None:
    family = family_of(layout)
    all_found, _ = answered(family, layout, 0, Thresholds(0.2, 0.6, 300))
    fish, _ = answered(family, layout, 0, Thresholds(0.5, 0.6, 4, ("fish",)))
    assert set(fish.labels) == {"fish"}
    assert len(fish) <= 4
    assert (fish.scores > 0.5).all()
    expected = [score for label, score in zip(all_found.labels, all_found.scores, strict=True) if label == "fish"]
    np.testing.assert_allclose(fish.scores, [score for score in expected if score > 0.5][:4])
    agnostic, _ = answered(family_of(layout, class_agnostic=True), layout, 0, Thresholds(0.2, 0.6, 300))
    assert 0 < len(agnostic) < len(all_found)


@pytest.mark.parametrize("layout", ["yolov8-seg", "yolo11-pose", "yolo11-obb"])
def test_an_image_without_animals_answers_none_in_the_same_form(layout: str) -> None:
    found, _ = answered(family_of(layout), layout, 0, Thresholds(1.0, 0.6, 300))
    assert len(found) == 0
    assert (found.masks is not None, found.keypoints is not None, found.corners is not None).count(True) == 1
    if found.masks is not None:
        assert len(found.masks) == 0
