"""What the outputs of a network mean, by hand-made arrays."""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from deployments.errors import InternalError
from deployments.families.contract import Thresholds
from deployments.families.generic.generic_outputs import Candidates, class_scores, keep_best
from deployments.families.generic.generic_signature import GenericParameters

CANVAS_PX = (100, 200)
LABELS = ("a", "b")
BOX = [20.0, 10.0, 60.0, 40.0]
SEPARATE = {"task": "detector", "boxes": "b", "scores": "s"}


def kept(arrays: tuple[NDArray[Any], ...], threshold: float = 0.25, **parameters: Any) -> Candidates:
    limits = Thresholds(threshold, 0.5, 100)
    declared = GenericParameters(**{"task": "detector", **parameters})
    return keep_best(arrays, declared, CANVAS_PX, limits, LABELS)


def one_box(values: list[float]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    return np.array([values], np.float32), np.array([[0.1, 0.9]], np.float32)


@pytest.mark.parametrize(
    ("box_format", "values"),
    [
        ("xyxy", [20, 10, 60, 40]),
        ("yxyx", [10, 20, 40, 60]),
        ("xywh", [20, 10, 40, 30]),
        ("cxcywh", [40, 25, 40, 30]),
    ],
)
@pytest.mark.parametrize("box_unit", ["pixels", "normalised"])
def test_boxes_of_every_format_are_corners_in_pixels(box_format: str, values: list[float], box_unit: str) -> None:
    if box_unit == "normalised":
        sides = [100, 200] if box_format == "yxyx" else [200, 100]
        values = [value / side for value, side in zip(values, sides * 2, strict=True)]
    found = kept(one_box(values), box_format=box_format, box_unit=box_unit, **SEPARATE)
    np.testing.assert_allclose(found.boxes, [BOX], atol=1e-4)
    assert found.class_ids.tolist() == [1]
    np.testing.assert_allclose(found.scores, [0.9])


def test_a_background_class_is_dropped_after_softmax() -> None:
    logits = np.log(np.array([[0.5, 0.1, 0.4], [0.05, 0.9, 0.05]], np.float32))
    boxes = np.array([BOX, [100, 10, 160, 40]], np.float32)
    found = kept((boxes, logits), first_class_id=1, activation="softmax", **SEPARATE)
    np.testing.assert_allclose(found.scores, [0.9, 0.4], atol=1e-6)
    assert found.class_ids.tolist() == [0, 1]


def test_objectness_multiplies_and_both_pass_the_sigmoid() -> None:
    rows = np.array([[40, 25, 40, 30, 0.0, -9.0, 20.0]], np.float32)
    found = kept((rows,), outputs="raw-head-objectness", activation="sigmoid")
    np.testing.assert_allclose(found.scores, [0.5], atol=1e-4)
    np.testing.assert_allclose(found.boxes, [BOX], atol=1e-4)


def test_overlapping_boxes_stay_where_the_network_has_removed_them_already() -> None:
    boxes = np.array([BOX, BOX], np.float32)
    scores, classes = np.array([0.5, 0.9], np.float32), np.array([1.0, 1.0], np.float32)
    declared = SEPARATE | {"classes": "c"}
    assert kept((boxes, scores, classes), **declared).scores.tolist() == pytest.approx([0.9])
    assert kept((boxes, scores, classes), has_nms=True, **declared).scores.tolist() == pytest.approx([0.9, 0.5])


def test_rows_of_nothing_are_dropped() -> None:
    rows = np.zeros((4, 6), np.float32)
    rows[0] = [*BOX, 0.9, 0]
    rows[1] = [np.nan, 0, 10, 10, 0.9, 1]
    rows[2] = [30, 30, 30, 40, 0.9, 1]
    found = kept((rows,), threshold=0.0, outputs="end-to-end")
    np.testing.assert_allclose(found.boxes, [BOX])


def test_only_the_best_candidates_reach_nms() -> None:
    boxes = np.array([[10 * column, 0, 10 * column + 5, 5] for column in range(20)], np.float32)
    scores = np.stack([np.linspace(0.3, 0.9, 20), np.zeros(20)], axis=1).astype(np.float32)
    found = kept((boxes, scores), candidates=3, **SEPARATE)
    np.testing.assert_allclose(found.boxes[:, 0], [190, 180, 170])


@pytest.mark.parametrize("number", [2.0, -1.0, np.nan])
def test_a_class_without_a_label_is_an_error_and_no_silence(number: float) -> None:
    outputs = (np.array([BOX], np.float32), np.array([0.9], np.float32), np.array([number], np.float32))
    with pytest.raises(InternalError, match="but has 2 labels"):
        kept(outputs, **SEPARATE | {"classes": "c"})


@pytest.mark.parametrize("activation", ["none", "sigmoid", "softmax"])
def test_scores_that_are_no_numbers_are_an_error(activation: str) -> None:
    declared = GenericParameters(task="classifier", activation=activation)
    with pytest.raises(InternalError, match="not finite numbers"):
        class_scores((np.array([0.5, np.nan], np.float32),), declared)


def test_scores_of_a_classifier_are_as_declared() -> None:
    logits = (np.array([0.0, np.log(3)], np.float32),)
    expected = {"none": logits[0], "sigmoid": [0.5, 0.75], "softmax": [0.25, 0.75]}
    for activation, scores in expected.items():
        found = class_scores(logits, GenericParameters(task="classifier", activation=activation))
        np.testing.assert_allclose(found, scores, atol=1e-6)
