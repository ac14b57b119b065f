"""Greedy non-maximum suppression in numpy, with thresholds as run-time inputs.

For a network that has removed overlaps itself: `best_first`.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_BLOCK = 256


@dataclass(frozen=True, slots=True)
class Suppression:
    """How to thin one image's candidates."""

    score_threshold: float | NDArray[np.float32]
    """Scores at or below this are dropped; an array (classes,) has one for each class."""

    iou_threshold: float | None
    """Of two boxes of one class that overlap more than this, the better stays. None keeps both: for a network that
    answers once for each object."""

    max_detections: int
    """How many are kept at most."""

    class_ids: tuple[int, ...] | None = None
    """The only classes to keep; None keeps all."""

    agnostic: bool = False
    """Whether boxes of different classes suppress each other."""

    candidates: int | None = None
    """Only so many of the best that are wanted are looked at; None for all."""

    class_offset_px: float | None = None
    """How far boxes are moved for each class, in float32 and with its rounding, so that those of two classes never
    meet: to find what a reference finds. None: far enough, and without any rounding."""


def suppress(
    boxes: NDArray[np.float32],
    scores: NDArray[np.float32],
    classes: NDArray[np.int32],
    rule: Suppression,
) -> NDArray[np.intp]:
    """Pick the candidates to keep: their indices, best score first, ties in input order.

    `boxes` (N, 4) x1, y1, x2, y2 in any unit; `scores` (N,); `classes` (N,). Order as in YOLOv5
    `utils/general.py` `non_max_suppression`: score, class filter, then class-offset greedy NMS.
    Boxes that are not finite, or have no area, are dropped. Raises ValueError when lengths differ.
    """
    if not len(boxes) == len(scores) == len(classes):
        raise ValueError(f"{len(boxes)} boxes, {len(scores)} scores, {len(classes)} classes")
    index = np.flatnonzero(is_wanted(scores, classes, rule))
    index = best_wanted(scores, index[_is_sound(boxes[index])], rule)
    if rule.iou_threshold is None:
        return index[: rule.max_detections]
    placed = _apart_by_class(boxes[index], classes[index], rule)
    return index[_greedy(placed, rule.iou_threshold, rule.max_detections)]


def best_first(
    boxes: NDArray[np.float32], scores: NDArray[np.float32], classes: NDArray[np.int32], rule: Suppression
) -> NDArray[np.intp]:
    """Pick the candidates to keep where the network has removed overlaps: their indices, best score first.

    Takes what `suppress` takes. Drops boxes without area or with a side that is not finite, and classes that the rule
    does not keep.
    """
    index = np.flatnonzero(is_wanted(scores, classes, rule))
    return best_wanted(scores, index[_is_sound(boxes[index])], rule)[: rule.max_detections]


def is_wanted(scores: NDArray[np.float32], classes: NDArray[np.int32], rule: Suppression) -> NDArray[np.bool_]:
    """Whether each candidate is of a class and above a score that the rule keeps; scores (n,), classes (n,)."""
    threshold = rule.score_threshold
    wanted: NDArray[np.bool_] = scores > (threshold[classes] if isinstance(threshold, np.ndarray) else threshold)
    if rule.class_ids is not None:
        wanted &= np.isin(classes, rule.class_ids)
    return wanted


def best_wanted(scores: NDArray[np.float32], index: NDArray[np.intp], rule: Suppression) -> NDArray[np.intp]:
    """Those that are looked at: `index`, best score first, ties in input order, up to the rule's bound.

    Whoever asks for one class of a frame full of others loses none of it, since classes are told apart before.
    """
    return index[np.argsort(-scores[index], kind="stable")][: rule.candidates]


def _apart_by_class(boxes: NDArray[np.float32], classes: NDArray[np.int32], rule: Suppression) -> NDArray[np.float64]:
    """Boxes of each class at a place of its own, so that those of two classes never meet, unless they may."""
    # Doubles: with hundreds of classes the offsets are so large that float32 would lose pixels.
    placed = boxes.astype(np.float64)
    if not len(boxes) or rule.agnostic:
        return placed
    if rule.class_offset_px is not None:
        offsets = classes.astype(np.float32) * np.float32(rule.class_offset_px)
        return np.asarray(boxes + offsets[:, None], np.float64)
    offset = placed.max() - placed.min() + 1.0
    placed += (classes.astype(np.float64) * offset)[:, None]
    return placed


def _is_sound(boxes: NDArray[np.float32]) -> NDArray[np.bool_]:
    boxes = boxes.reshape(-1, 4)
    has_area = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
    return np.asarray(np.isfinite(boxes).all(axis=1) & has_area, np.bool_)


def _greedy(boxes: NDArray[np.float64], iou_threshold: float, max_detections: int) -> NDArray[np.intp]:
    """Best first, block by block: what is kept already thins a block at once, and no more is looked at than needed.
    At most `max_detections` x N overlaps are computed."""
    kept = np.zeros(0, np.intp)
    for start in range(0, len(boxes), _BLOCK):
        block = np.arange(start, min(start + _BLOCK, len(boxes)))
        if len(kept):
            block = block[(_overlaps(boxes[block], boxes[kept]) <= iou_threshold).all(axis=1)]
        kept = np.concatenate([kept, _greedy_within(boxes, block, iou_threshold, max_detections - len(kept))])
        if len(kept) >= max_detections:
            break
    return kept


def _greedy_within(
    boxes: NDArray[np.float64], block: NDArray[np.intp], iou_threshold: float, most: int
) -> NDArray[np.intp]:
    is_apart = _overlaps(boxes[block], boxes[block]) <= iou_threshold
    left = np.ones(len(block), np.bool_)
    kept: list[int] = []
    for place in range(len(block)):
        if left[place]:
            kept.append(place)
            left &= is_apart[place]
    return block[kept[:most]]


def _overlaps(ones: NDArray[np.float64], others: NDArray[np.float64]) -> NDArray[np.float64]:
    """IoU of each of `ones` (n, 4) with each of `others` (m, 4): (n, m)."""
    x1, y1, x2, y2 = ones.T[:, :, None]
    wide = np.minimum(x2, others[:, 2]) - np.maximum(x1, others[:, 0])
    tall = np.minimum(y2, others[:, 3]) - np.maximum(y1, others[:, 1])
    shared = np.maximum(wide, 0.0) * np.maximum(tall, 0.0)
    areas = (x2 - x1) * (y2 - y1) + (others[:, 2] - others[:, 0]) * (others[:, 3] - others[:, 1])
    return np.asarray(shared / (areas - shared), np.float64)
