"""Suppression of rotated boxes is that of the original: by ProbIoU, and by better ones that need not stand."""

import time

import numpy as np
import pytest
from numpy.typing import NDArray

from deployments.families.shared.nms import Suppression
from deployments.families.shared.rotated_nms import suppress_rotated
from deployments.families.yolo.heads.rotated_ending import corners_of

LEAST = 1e-7


def covariance(box: NDArray[np.float64]) -> tuple[float, float, float]:
    wide, tall, angle = box[2] ** 2 / 12, box[3] ** 2 / 12, box[4]
    cos, sin = np.cos(angle), np.sin(angle)
    return wide * cos**2 + tall * sin**2, wide * sin**2 + tall * cos**2, (wide - tall) * cos * sin


def prob_iou(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    """Of one pair, as the paper has it."""
    (a1, b1, c1), (a2, b2, c2) = covariance(one), covariance(other)
    a, b, c, x, y = a1 + a2, b1 + b2, c1 + c2, one[0] - other[0], one[1] - other[1]
    joint = a * b - c**2
    first = (a * y**2 + b * x**2) / (joint + LEAST) / 4
    second = (c * -x * y) / (joint + LEAST) / 2
    volumes = max(a1 * b1 - c1**2, 0) * max(a2 * b2 - c2**2, 0)
    third = np.log(joint / (4 * np.sqrt(volumes) + LEAST) + LEAST) / 2
    return float(1 - np.sqrt(1 - np.exp(-np.clip(first + second + third, LEAST, 100)) + LEAST))


def standing(boxes: NDArray[np.float64], classes: NDArray[np.int32], threshold: float, agnostic: bool) -> list[int]:
    """Pair by pair; boxes come best first."""
    kept = []
    for later in range(len(boxes)):
        rivals = [i for i in range(later) if agnostic or classes[i] == classes[later]]
        if all(prob_iou(boxes[i], boxes[later]) <= threshold for i in rivals):
            kept.append(later)
    return kept


def crowd(count: int, spread_px: float = 100.0) -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int32]]:
    rng = np.random.default_rng(11)
    places, sizes = rng.uniform(0, spread_px, (count, 2)), rng.uniform(3, 60, (count, 2))
    boxes = np.concatenate([places, sizes, rng.uniform(-4, 4, (count, 1))], axis=1).astype(np.float32)
    return boxes, np.linspace(0.99, 0.2, count).astype(np.float32), rng.integers(0, 3, count).astype(np.int32)


@pytest.mark.parametrize("threshold", [0.0, 0.1, 0.45, 0.7, 0.99, 1.0])
@pytest.mark.parametrize("agnostic", [False, True])
def test_it_is_that_of_all_pairs(threshold: float, agnostic: bool) -> None:
    boxes, scores, classes = crowd(300)
    found = suppress_rotated(boxes, scores, classes, Suppression(0.1, threshold, 1000, agnostic=agnostic))
    assert found.tolist() == standing(boxes.astype(np.float64), classes, threshold, agnostic)


def test_a_box_gives_way_to_one_that_gives_way_itself() -> None:
    row = [(0, 0, 20, 20, 0), (8, 0, 20, 20, 0), (16, 0, 20, 20, 0)]
    boxes, scores, classes = np.array(row, np.float32), np.array([0.9, 0.8, 0.7], np.float32), np.zeros(3, np.int32)
    neighbours, ends = prob_iou(boxes[0], boxes[1]), prob_iou(boxes[0], boxes[2])
    threshold = (neighbours + ends) / 2
    assert suppress_rotated(boxes, scores, classes, Suppression(0.1, threshold, 10)).tolist() == [0]


def test_thresholds_classes_and_numbers_hold() -> None:
    boxes, scores, classes = crowd(300, spread_px=3000)
    rule = Suppression(0.5, 0.45, 7, class_ids=(1,))
    found = suppress_rotated(boxes, scores, classes, rule)
    assert found.tolist() == [i for i in range(300) if scores[i] > 0.5 and classes[i] == 1][:7]
    each = Suppression(np.array([0.9, 0.95, 0.2], np.float32), None, 1000)
    found = suppress_rotated(boxes, scores, classes, each)
    assert found.tolist() == [i for i in range(300) if scores[i] > [0.9, 0.95, 0.2][classes[i]]]


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 3e38])
@pytest.mark.parametrize("column", range(5))
def test_boxes_that_are_nowhere_are_dropped(value: float, column: int) -> None:
    boxes, scores, classes = crowd(3, spread_px=3000)
    boxes[1, column] = value
    assert suppress_rotated(boxes, scores, classes, Suppression(0.1, 0.45, 10)).tolist() == [0, 2]


def test_the_work_on_the_most_candidates_is_bounded() -> None:
    """All of one class, in one place, and apart by less than the threshold: every pair is looked at."""
    boxes, scores, _ = crowd(4096, spread_px=1.0)
    boxes[:, 2:4] = 20
    began_at_s = time.thread_time()
    found = suppress_rotated(boxes, scores, np.zeros(4096, np.int32), Suppression(0.1, 0.999, 4096))
    assert len(found) > 1
    assert time.thread_time() - began_at_s < 5.0


def test_corners_go_round_the_box() -> None:
    corners = corners_of(np.array([[100, 50, 40, 20, np.pi / 2]], np.float32))[0]
    np.testing.assert_allclose(corners, [[90, 70], [110, 70], [110, 30], [90, 30]], atol=1e-4)
