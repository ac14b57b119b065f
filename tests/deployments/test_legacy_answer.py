"""The legacy list is what desktop clients can read."""

import numpy as np

from deployments.legacy_answer import boxes_with_area, legacy_rows
from deployments.prediction import ClassScores, Detections, Prediction


def test_rows_have_the_fields_of_the_legacy_workers() -> None:
    detections = Detections(
        np.array([[1, 2, 30, 40]], np.float32), np.array([0.5], np.float32), np.array([3], np.int32), ("Crab",)
    )
    rows = legacy_rows(Prediction(detections, (50, 60), "m", "1"))
    assert rows == [{"category_id": "Crab", "scores": [0.5], "bbox": [1.0, 2.0, 30.0, 40.0]}]


def test_a_classifier_answers_scores_only() -> None:
    scores = ClassScores(np.array([0.25, 0.75], np.float32), ("a", "b"))
    assert legacy_rows(Prediction(scores, (5, 5), "m", "1")) == [{"scores": [0.25, 0.75]}]


def test_boxes_keep_inside_the_image_and_have_area_once_rounded() -> None:
    rng = np.random.default_rng(7)
    boxes = rng.uniform(-20, 120, (2000, 4)).astype(np.float32)
    boxes = np.concatenate([np.minimum(boxes[:, :2], boxes[:, 2:]), np.maximum(boxes[:, :2], boxes[:, 2:])], 1)
    boxes[::3, 2:] = boxes[::3, :2] + 0.1
    bounded = boxes_with_area(boxes, (80, 100))
    rounded = np.round(bounded)
    assert bounded.min() >= 0
    assert bounded[:, [0, 2]].max() <= 100
    assert bounded[:, [1, 3]].max() <= 80
    assert (rounded[:, 2:] - rounded[:, :2]).min() >= 1
