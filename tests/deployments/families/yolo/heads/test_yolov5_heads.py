"""YOLOv5's masks and its classifier, against the original code (`golden/make_yolov5_heads.py`)."""

import json
from typing import Any

import numpy as np
import pytest

from deployments.checkpoints import open_checkpoint
from deployments.definition import ModelDefinition
from deployments.errors import ModelUnavailable
from deployments.families import load_family
from deployments.families.contract import Thresholds
from deployments.families.yolo.heads.anchor_head import decode, make_levels
from deployments.families.yolo.layers.torch_layers import LayerBuilder
from deployments.families.yolo.yolo_graph import build_body
from deployments.families.yolo.yolo_layout import read_layout
from deployments.families.yolo.yolov5_classify import YOLOv5Classify
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

EVERY, MASKS, ANCHORS = 17, 6, 3
SEGMENTER, CLASSIFIER = GOLDEN / "yolov5_seg.pt", GOLDEN / "yolov5_cls.pt"


def test_the_raw_head_agrees_with_the_original_code() -> None:
    import tensorflow as tf

    golden, family = golden_of("yolov5_seg"), family_of("yolov5_seg")
    with open_checkpoint(SEGMENTER) as checkpoint:
        layout = read_layout(checkpoint, family.kind)
        builder = LayerBuilder(family.blocks)
        levels = make_levels(layout, builder, MASKS)
        features = build_body(layout, builder, tuple).features(tf.constant(image()[None]))
    parts = []
    for level, feature in zip(levels, features, strict=True):
        found = level.scored(feature)
        (boxes, *_) = decode([level], [found])
        corners = np.asarray(boxes[0])
        numbers = np.asarray(tf.sigmoid(tf.concat([found.boxes[0, :, 4:], found.classes[0]], axis=1)))
        row = [(corners[:, :2] + corners[:, 2:]) / 2, corners[:, 2:] - corners[:, :2], numbers, found.masks[0]]
        rows = np.concatenate(row, axis=1)
        # Ours go cell by cell, those of the original anchor by anchor.
        parts.append(rows.reshape(-1, ANCHORS, rows.shape[1]).transpose(1, 0, 2).reshape(rows.shape))
    joined = np.concatenate(parts)
    assert list(joined.shape) == golden["shape"]
    np.testing.assert_allclose(joined[::EVERY], golden[f"every_{EVERY}th"], rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("number", [0, 1])
def test_answers_agree_with_the_original_code(number: int) -> None:
    golden = golden_of("yolov5_seg")
    found, geometry = answered(family_of("yolov5_seg"), "yolov5_seg", number, limits_of(golden))
    assert_same_detections(found, geometry, golden["answers"][number]["detections"])


def test_classes_and_thresholds_hold() -> None:
    found, _ = answered(family_of("yolov5_seg"), "yolov5_seg", 0, Thresholds(0.3, 0.45, 3, ("coral",)))
    assert found.masks is not None
    assert 0 < len(found) == len(found.masks) <= 3
    assert set(found.labels) == {"coral"}


def classifier(**fields: Any) -> YOLOv5Classify:
    definition = ModelDefinition(family="yolov5-classify", **({"weights": str(CLASSIFIER)} | fields))
    found = load_family(definition)
    assert isinstance(found, YOLOv5Classify)
    return found


@pytest.mark.parametrize("number", [0, 1])
def test_scores_of_the_classifier_agree_with_the_original_code(number: int) -> None:
    import tensorflow as tf

    golden = json.loads(CLASSIFIER.with_suffix(".json").read_text())
    family = classifier(canvas_px=(golden["size_px"], golden["size_px"]))
    prepared = family.preprocess(picture(number))
    assert int(prepared.canvas.sum()) == golden["sums_of_canvas"][number]
    (scores,) = family.build_graph()(tf.constant(prepared.canvas[None]))
    answer = family.postprocess((np.asarray(scores[0]),), prepared.geometry, Thresholds(0.9, 0.5, 1))
    np.testing.assert_allclose(answer.scores, golden["scores"][number], atol=1e-4)
    assert answer.labels == ("coral", "crinoid", "sponge", "fish")


def test_the_classifier_sees_the_square_in_the_middle() -> None:
    family = classifier()
    assert family.canvas_px == (224, 224)
    pixels = np.zeros((100, 400, 3), np.uint8)
    pixels[:, 150:250] = 255
    assert family.preprocess(pixels).canvas.min() == 255


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"canvas_px": (224, 256)}, "must be a square"),
        ({"canvas_px": (16, 16)}, "must be at least 32 on each side"),
        ({"labels": ("a",)}, "has 4 classes, but the definition names 1 labels"),
        ({"weights": str(SEGMENTER)}, "holds a models.yolo.SegmentationModel, .*; family yolov5 is for such files"),
        ({"parameters": {"head": "one-to-one"}}, "parameters.head"),
    ],
)
def test_what_does_not_fit_the_classifier_is_refused(fields: dict[str, Any], reason: str) -> None:
    with pytest.raises(ModelUnavailable, match=reason):
        classifier(**fields)
