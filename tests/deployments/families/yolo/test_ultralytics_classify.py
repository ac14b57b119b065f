"""Classifiers of ultralytics: against the original code, and what is refused."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deployments.definition import ModelDefinition
from deployments.errors import ModelUnavailable
from deployments.families import load_family
from deployments.families.contract import Thresholds
from deployments.families.yolo.ultralytics_classify import UltralyticsClassify

GOLDEN = Path(__file__).parents[1] / "golden"
CHECKPOINT = GOLDEN / "yolo26-cls.pt"
CLASSES = ("coral", "crinoid", "sponge", "fish")
THRESHOLDS = Thresholds(score_threshold=0.5, iou_threshold=0.5, max_detections=1)


def family(**fields: Any) -> UltralyticsClassify:
    definition = ModelDefinition(family="ultralytics-classify", **({"weights": str(CHECKPOINT)} | fields))
    found = load_family(definition)
    assert isinstance(found, UltralyticsClassify)
    return found


def test_scores_agree_with_the_original_code() -> None:
    import tensorflow as tf

    served = family(canvas_px=(128, 192))
    image = np.random.default_rng(7).integers(0, 256, (128, 192, 3), np.uint8)
    prepared = served.preprocess(image)
    np.testing.assert_array_equal(prepared.canvas, image)
    (scores,) = served.build_graph()(tf.constant(image[None]))
    expected = json.loads(CHECKPOINT.with_suffix(".json").read_text())["every_17th"][0]
    np.testing.assert_allclose(np.asarray(scores[0]), expected, atol=1e-4)
    answer = served.postprocess((np.asarray(scores[0]),), prepared.geometry, THRESHOLDS)
    assert answer.labels == CLASSES, "a classifier answers with all its classes, whatever the thresholds"
    np.testing.assert_allclose(answer.scores.sum(), 1, atol=1e-5)


def test_it_sees_the_middle_of_an_image_at_the_size_of_its_training() -> None:
    served = family()
    assert served.canvas_px == (192, 192)
    image = np.zeros((400, 800, 3), np.uint8)
    image[:, 200:600] = 255
    canvas = served.preprocess(image).canvas
    assert canvas.shape == (192, 192, 3)
    assert canvas[:, 1:-1].min() == 255, "an edge may have a part of what lies beyond"


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"weights": None}, "needs `weights`"),
        ({"weights": str(GOLDEN / "yolov8-p6.pt")}, "holds a ultralytics.nn.tasks.DetectionModel, but family"),
        ({"labels": ("a", "b")}, "has 4 classes, but the definition names 2 labels"),
        ({"canvas_px": (16, 224)}, "must be at least 32 on each side"),
        ({"parameters": {"candidates": 3}}, "candidates"),
    ],
)
def test_what_does_not_fit_is_refused(fields: dict[str, Any], reason: str) -> None:
    with pytest.raises(ModelUnavailable, match=reason):
        family(**fields)
