"""Suppression: against a plain reference, and its options one by one."""

import time

import numpy as np
import pytest
from numpy.typing import NDArray

from deployments.families.shared.nms import Suppression, best_first, suppress

Arrays = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int32]]


def _random(seed: int, count: int, classes: int = 5) -> Arrays:
    rng = np.random.default_rng(seed)
    low = rng.uniform(0, 200, (count, 2))
    boxes = np.concatenate([low, low + rng.uniform(5, 90, (count, 2))], 1)
    return (
        boxes.astype(np.float32),
        rng.random(count).astype(np.float32),
        rng.integers(0, classes, count).astype(np.int32),
    )


def _iou(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    wide = min(float(one[2]), float(other[2])) - max(float(one[0]), float(other[0]))
    tall = min(float(one[3]), float(other[3])) - max(float(one[1]), float(other[1]))
    shared = max(0.0, wide) * max(0.0, tall)
    areas = [float(b[2] - b[0]) * float(b[3] - b[1]) for b in (one, other)]
    return shared / (sum(areas) - shared)


def _brute_force(arrays: Arrays, rule: Suppression) -> list[int]:
    boxes, scores, classes = arrays
    kept: list[int] = []
    for index in sorted(range(len(boxes)), key=lambda i: (-scores[i], i)):
        if scores[index] <= rule.score_threshold:
            continue
        if rule.class_ids is not None and classes[index] not in rule.class_ids:
            continue
        rivals = [k for k in kept if rule.agnostic or classes[k] == classes[index]]
        if all(_iou(boxes[k], boxes[index]) <= rule.iou_threshold for k in rivals):
            kept.append(index)
    return kept[: rule.max_detections]


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize(
    "rule",
    [
        Suppression(0.25, 0.45, 300),
        Suppression(0.1, 0.7, 7),
        Suppression(0.0, 0.45, 300, agnostic=True),
        Suppression(0.2, 0.3, 300, class_ids=(1, 3)),
    ],
)
def test_it_agrees_with_brute_force(seed: int, rule: Suppression) -> None:
    arrays = _random(seed, 120)
    assert suppress(*arrays, rule).tolist() == _brute_force(arrays, rule)


def test_classes_far_apart_in_number_stay_apart() -> None:
    box = np.array([[1000.0, 1000, 1010.5, 1010]], np.float32)
    boxes = np.repeat(box, 3, 0)
    classes = np.array([0, 690, 690], np.int32)
    scores = np.array([0.5, 0.9, 0.8], np.float32)
    assert suppress(boxes, scores, classes, Suppression(0.25, 0.45, 10)).tolist() == [1, 0]


def test_equal_scores_keep_their_order() -> None:
    boxes = np.array([[0, 0, 10, 10], [50, 50, 60, 60]], np.float32)
    kept = suppress(boxes, np.full(2, 0.5, np.float32), np.zeros(2, np.int32), Suppression(0.1, 0.5, 10))
    assert kept.tolist() == [0, 1]


def test_nothing_in_gives_nothing_out() -> None:
    arrays = _random(0, 0)
    assert suppress(*arrays, Suppression(0.25, 0.45, 10)).tolist() == []


def test_broken_boxes_are_dropped() -> None:
    boxes = np.array([[0, 0, 10, 10], [5, 5, 5, 9], [np.nan, 0, 1, 1], [0, 0, np.inf, 1]], np.float32)
    scores, classes = np.full(4, 0.9, np.float32), np.zeros(4, np.int32)
    assert suppress(boxes, scores, classes, Suppression(0.25, 0.45, 10)).tolist() == [0]


def test_unequal_lengths_are_refused() -> None:
    boxes, scores, classes = _random(0, 4)
    with pytest.raises(ValueError, match="3 scores"):
        suppress(boxes, scores[:3], classes, Suppression(0.25, 0.45, 10))


def test_a_thousand_candidates_are_quick() -> None:
    arrays = _random(3, 1000, 20)
    rule = Suppression(0.0, 0.7, 300)
    best_s = min(_timed(arrays, rule) for _ in range(5))
    # About ten times what a quiet machine needs: this catches a wrong order, not a slow day.
    assert best_s < 0.04


@pytest.mark.parametrize("iou_threshold", [0.45, 1.0])
def test_the_most_candidates_that_any_model_may_have_are_bounded_work(iou_threshold: float) -> None:
    # Boxes at 990 places, so that nearly as many are kept as may be, and the other 29,000 are compared with all.
    places = np.stack(np.meshgrid(np.arange(33), np.arange(30)), -1).reshape(-1, 2)
    low = places[np.arange(30_000) % len(places)] * 30.0
    boxes = np.concatenate([low, low + 20], 1).astype(np.float32)
    scores = np.linspace(1, 0.5, len(boxes), dtype=np.float32)
    began_s = time.thread_time()
    kept = suppress(boxes, scores, np.zeros(len(boxes), np.int32), Suppression(0.25, iou_threshold, 1000))
    # One second on an idle core.
    assert time.thread_time() - began_s < 5
    assert len(kept) == (len(places) if iou_threshold < 1 else 1000)


def _timed(arrays: Arrays, rule: Suppression) -> float:
    start_s = time.thread_time()
    suppress(*arrays, rule)
    return time.thread_time() - start_s


def test_without_suppression_the_best_come_first_and_what_cannot_be_a_box_goes() -> None:
    boxes = np.array([[0, 0, 9, 9], [1, 1, 9, 9], [5, 5, 5, 9], [0, 0, np.inf, 9], [0, 0, 8, 8]], np.float32)
    scores = np.array([0.5, 0.9, 0.99, 0.98, 0.7], np.float32)
    classes = np.array([0, 0, 0, 0, 1], np.int32)
    assert best_first(boxes, scores, classes, Suppression(0.1, 0.5, 300)).tolist() == [1, 4, 0]
    assert best_first(boxes, scores, classes, Suppression(0.1, 0.5, 2)).tolist() == [1, 4]
    assert best_first(boxes, scores, classes, Suppression(0.1, 0.5, 300, class_ids=(0,))).tolist() == [1, 0]


def test_without_an_iou_threshold_boxes_of_one_place_all_stay() -> None:
    boxes = np.array([[0, 0, 9, 9]] * 3, np.float32)
    kept = suppress(boxes, np.array([0.5, 0.9, 0.1], np.float32), np.zeros(3, np.int32), Suppression(0.2, None, 9))
    assert kept.tolist() == [1, 0]


@pytest.mark.parametrize(("class_id", "kept"), [(0, 2), (79, 1)])
def test_boxes_are_rounded_as_a_reference_rounds_them_where_it_is_asked_for(class_id: int, kept: int) -> None:
    """Moved by 79 times 7680 px, float32 has steps of 1/16 px, so that an IoU of 0.597 becomes one of 0.6."""
    boxes = np.array([[10, 10, 20, 20], [12.52, 10, 22.52, 20]], np.float32)
    scores, classes = np.array([0.9, 0.8], np.float32), np.full(2, class_id, np.int32)
    assert len(suppress(boxes, scores, classes, Suppression(0.1, 0.599, 10))) == 2
    assert len(suppress(boxes, scores, classes, Suppression(0.1, 0.599, 10, class_offset_px=7680.0))) == kept
