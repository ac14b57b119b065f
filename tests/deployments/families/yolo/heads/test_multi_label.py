"""Pairs of a box and a class, as val.py of the references takes them."""

import numpy as np
import pytest

from deployments.definition import ModelDefinition
from deployments.errors import ModelUnavailable
from deployments.families import load_family
from deployments.families.shared.nms import Suppression
from deployments.families.yolo.heads.multi_label import pairs_of
from tests.deployments.families.golden_cases import GOLDEN

SCORES = np.array([[0.9, 0.5, 0.1], [0.2, 0.8, 0.0], [0.3, 0.3, 0.3]], np.float32)
BOXES = np.arange(12, dtype=np.float32).reshape(3, 4)
BESIDE, PROTOTYPES = np.arange(6, dtype=np.float32).reshape(3, 2), np.zeros((2, 2, 2), np.float32)


def pairs(rule: Suppression) -> list[tuple[float, int]]:
    boxes, scores, classes, beside, prototypes = pairs_of((BOXES, SCORES, SCORES.argmax(1), BESIDE, PROTOTYPES), rule)
    assert prototypes is PROTOTYPES
    np.testing.assert_array_equal(boxes[:, 0] / 2, beside[:, 0], "what belongs to a box goes with it")
    return [(round(float(score), 3), int(number)) for score, number in zip(scores, classes, strict=True)]


def test_a_box_comes_with_each_class_above_the_threshold() -> None:
    every = [(0.9, 0), (0.8, 1), (0.5, 1), (0.3, 0), (0.3, 1), (0.3, 2), (0.2, 0)]
    assert pairs(Suppression(0.1, 0.5, 300)) == every
    floors = np.array([0.4, 0.6, 0.05], np.float32)
    assert pairs(Suppression(floors, 0.5, 300)) == [(0.9, 0), (0.8, 1), (0.3, 2), (0.1, 2)]


def test_the_best_are_picked_of_the_classes_that_are_asked_for() -> None:
    assert pairs(Suppression(0.1, 0.5, 300, candidates=2)) == [(0.9, 0), (0.8, 1)]
    assert pairs(Suppression(0.1, 0.5, 300, class_ids=(0, 2), candidates=2)) == [(0.9, 0), (0.3, 0)]
    assert pairs(Suppression(0.95, 0.5, 300)) == []


def test_a_one_to_one_head_needs_none() -> None:
    definition = ModelDefinition(
        family="ultralytics", weights=str(GOLDEN / "yolov10-n.pt"), parameters={"multi_label": True}
    )
    with pytest.raises(ModelUnavailable, match="multi_label has no effect on a one-to-one head"):
        load_family(definition)
