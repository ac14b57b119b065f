"""Which cell learns which animal: task-aligned assignment, dense and without gradients.

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
    """The objects of a batch, padded to the same number for each image."""

    boxes: Any
    """float32 (n, objects, 4) x1 y1 x2 y2 in canvas pixels."""

    classes: Any
    """int32 (n, objects)."""

    present: Any
    """float32 (n, objects), 1 for an object and 0 for padding."""


class Targets(NamedTuple):
    """What each cell should say."""

    scores: Any
    """(n, cells, classes), soft; 0 for an empty cell."""

    boxes: Any
    """(n, cells, 4) x1 y1 x2 y2 in canvas pixels."""


def assign(scores: Any, boxes: Any, points: Any, truth: Truth) -> Targets:
    """Choose the cells of every object and their soft scores; no gradient flows through.

    scores: (n, cells, classes), after the sigmoid.  boxes, points: (n, cells, 4) and (cells, 2) in canvas pixels.
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
    """Intersection over union of boxes (n, m, 4) with boxes (n, a, 4): (n, m, a), 0 to 1."""
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
