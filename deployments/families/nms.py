"""Greedy non-maximum suppression in numpy, with thresholds as run-time inputs.

Knows boxes, scores and class numbers; knows nothing of labels, images or networks.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Suppression:
    """How to thin one image's candidates.

    Scores at or below `score_threshold` are dropped; of two boxes of one class whose IoU is
    above `iou_threshold` the better stays; at most `max_detections` are kept. `class_ids`, when
    given, keeps only those classes; `agnostic` lets boxes of different classes suppress each other.
    """

    score_threshold: float
    iou_threshold: float
    max_detections: int
    class_ids: tuple[int, ...] | None = None
    agnostic: bool = False


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
    wanted = scores > rule.score_threshold
    if rule.class_ids is not None:
        wanted &= np.isin(classes, rule.class_ids)
    if len(boxes):
        wanted &= np.isfinite(boxes).all(axis=1)
        wanted &= (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
    index = np.flatnonzero(wanted)
    index = index[np.argsort(-scores[index], kind="stable")]
    # Doubles: with hundreds of classes the offsets are so large that float32 would lose pixels.
    placed = boxes[index].astype(np.float64)
    if len(index) and not rule.agnostic:
        # Each class is moved to its own tile, so that boxes of two classes never meet.
        tile = placed.max() - placed.min() + 1.0
        placed += (classes[index].astype(np.float64) * tile)[:, None]
    return index[_greedy(placed, rule.iou_threshold, rule.max_detections)]


def _greedy(boxes: NDArray[np.float64], iou_threshold: float, max_detections: int) -> NDArray[np.intp]:
    corners_low, corners_high = boxes[:, :2], boxes[:, 2:]
    areas = (corners_high - corners_low).prod(axis=1)
    left = np.arange(len(boxes))
    kept: list[int] = []
    while len(left) and len(kept) < max_detections:
        best, rest = left[0], left[1:]
        kept.append(int(best))
        low = np.maximum(corners_low[rest], corners_low[best])
        high = np.minimum(corners_high[rest], corners_high[best])
        shared = np.maximum(high - low, 0.0).prod(axis=1)
        overlap = shared / (areas[rest] + areas[best] - shared)
        left = rest[overlap <= iou_threshold]
    return np.array(kept, np.intp)
