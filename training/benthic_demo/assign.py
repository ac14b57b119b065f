"""Which cell learns which animal: task-aligned assignment, dense and differentiable-free.

Source: Feng et al. 2021, TOOD (arXiv:2108.07755); the exponents and the ten candidates are
those of ultralytics `utils/tal.py` `TaskAlignedAssigner`, written anew in `keras.ops`.
"""

from typing import Any, NamedTuple

from keras import ops

_CANDIDATES = 10
_SCORE_POWER = 0.5
_OVERLAP_POWER = 6.0
_TINY = 1e-9


class Truth(NamedTuple):
    """A batch's objects, padded to M a image.

    `boxes`: float32 (N, M, 4) x1, y1, x2, y2 in canvas pixels. `classes`: int32 (N, M).
    `present`: float32 (N, M), 1 for an object and 0 for padding.
    """

    boxes: Any
    classes: Any
    present: Any


class Targets(NamedTuple):
    """What each of A cells should say: `scores` (N, A, C) soft, 0 for empty; `boxes` (N, A, 4)."""

    scores: Any
    boxes: Any


def assign(scores: Any, boxes: Any, points: Any, truth: Truth) -> Targets:
    """Choose the cells of every object and their soft scores; no gradient flows through.

    `scores` (N, A, C) after the sigmoid, `boxes` (N, A, 4) and `points` (A, 2) in canvas pixels.
    """
    scores, boxes = ops.stop_gradient(scores), ops.stop_gradient(boxes)
    wanted = ops.one_hot(truth.classes, scores.shape[-1])
    own_score = ops.matmul(wanted, ops.transpose(scores, (0, 2, 1)))
    inside = _inside(points, truth.boxes) * truth.present[..., None]
    overlap = pairwise_iou(truth.boxes, boxes) * inside
    fit = (own_score**_SCORE_POWER) * (overlap**_OVERLAP_POWER)
    chosen = _best_cells(fit, inside)
    # A cell wanted by two objects serves the one it overlaps most.
    winner = ops.one_hot(ops.argmax(overlap * chosen, axis=1), truth.boxes.shape[1], axis=1)
    chosen = chosen * winner
    fit = fit * chosen
    best_fit = ops.max(fit, axis=-1, keepdims=True)
    best_overlap = ops.max(overlap * chosen, axis=-1, keepdims=True)
    weight = fit / (best_fit + _TINY) * best_overlap
    owner = ops.transpose(chosen, (0, 2, 1))
    soft = ops.matmul(ops.transpose(weight, (0, 2, 1)), wanted)
    return Targets(ops.stop_gradient(soft), ops.stop_gradient(ops.matmul(owner, truth.boxes)))


def pairwise_iou(first: Any, second: Any) -> Any:
    """Intersection over union of (N, M, 4) with (N, A, 4): (N, M, A), 0..1."""
    one, other = first[:, :, None, :], second[:, None, :, :]
    low = ops.maximum(one[..., :2], other[..., :2])
    high = ops.minimum(one[..., 2:], other[..., 2:])
    sides = ops.maximum(high - low, 0.0)
    shared = sides[..., 0] * sides[..., 1]
    return shared / (_area(one) + _area(other) - shared + _TINY)


def _area(boxes: Any) -> Any:
    return ops.maximum(boxes[..., 2] - boxes[..., 0], 0.0) * ops.maximum(boxes[..., 3] - boxes[..., 1], 0.0)


def _inside(points: Any, boxes: Any) -> Any:
    x, y = points[None, None, :, 0], points[None, None, :, 1]
    left, top, right, bottom = (boxes[:, :, None, side] for side in range(4))
    # Tiny boxes may fall between the finest cells; half a cell of grace gives them one.
    grace_x = ops.maximum(0.0, 5.0 - (right - left) / 2)
    grace_y = ops.maximum(0.0, 5.0 - (bottom - top) / 2)
    within_x = ops.logical_and(x > left - grace_x, x < right + grace_x)
    within_y = ops.logical_and(y > top - grace_y, y < bottom + grace_y)
    return ops.cast(ops.logical_and(within_x, within_y), "float32")


def _best_cells(fit: Any, inside: Any) -> Any:
    # The candidates are those at least as good as the tenth; ties are harmless.
    tenth = ops.top_k(fit, k=_CANDIDATES)[0][..., -1:]
    return ops.cast(fit >= ops.maximum(tenth, 1e-30), "float32") * inside
