"""The training loss: soft class scores and complete-IoU boxes.

Sources: class term, binary cross-entropy to the task-aligned soft score (TOOD,
arXiv:2108.07755, as in ultralytics `utils/loss.py`); box term, CIoU (Zheng et al. 2020,
arXiv:1911.08287), weighted by the soft score.
"""

import math
from collections.abc import Sequence
from typing import Any

from keras import ops

from deployments.families.shared.anchor_free import HeadMaps, anchor_points, to_corners
from training.benthic_demo.assign import Truth, assign

_BOX_WEIGHT = 7.5
_CLASS_WEIGHT = 0.7
_TINY = 1e-7


def detection_loss(levels: Sequence[HeadMaps], truth: Truth) -> tuple[Any, Any]:
    """Mean loss of a batch as (box term, class term), each already weighted; their sum is trained.

    levels: as `network.head_maps` gives them, with static heights and widths.
    """
    sizes = [(int(level.distances.shape[1]), int(level.distances.shape[2])) for level in levels]
    points, strides = anchor_points(sizes, [level.stride_px for level in levels])
    distances = ops.concatenate([_rows(level.distances) for level in levels], axis=1)
    logits = ops.concatenate([_rows(level.class_logits) for level in levels], axis=1)
    boxes = to_corners(ops.convert_to_tensor(points), distances * strides)
    targets = assign(ops.sigmoid(logits), boxes, ops.convert_to_tensor(points), truth)
    total = ops.maximum(ops.sum(targets.scores), 1.0)
    weight = ops.sum(targets.scores, axis=-1)
    box_term = ops.sum((1.0 - complete_iou(boxes, targets.boxes)) * weight) / total
    class_term = ops.sum(_cross_entropy(logits, targets.scores)) / total
    return _BOX_WEIGHT * box_term, _CLASS_WEIGHT * class_term


def complete_iou(first: Any, second: Any) -> Any:
    """CIoU of matching boxes (..., 4) x1, y1, x2, y2; at most 1, below 0 when far apart."""
    low = ops.maximum(first[..., :2], second[..., :2])
    high = ops.minimum(first[..., 2:], second[..., 2:])
    sides = ops.maximum(high - low, 0.0)
    shared = sides[..., 0] * sides[..., 1]
    size_1, size_2 = first[..., 2:] - first[..., :2], second[..., 2:] - second[..., :2]
    union = size_1[..., 0] * size_1[..., 1] + size_2[..., 0] * size_2[..., 1] - shared
    iou = shared / (union + _TINY)
    hull = ops.maximum(first[..., 2:], second[..., 2:]) - ops.minimum(first[..., :2], second[..., :2])
    apart = (first[..., :2] + first[..., 2:] - second[..., :2] - second[..., 2:]) / 2.0
    centre_term = ops.sum(apart**2, axis=-1) / (ops.sum(hull**2, axis=-1) + _TINY)
    angle = ops.arctan2(size_2[..., 0], size_2[..., 1] + _TINY) - ops.arctan2(size_1[..., 0], size_1[..., 1] + _TINY)
    shape_term = (4.0 / math.pi**2) * angle**2
    trade_off = ops.stop_gradient(shape_term / (1.0 - iou + shape_term + _TINY))
    return iou - centre_term - trade_off * shape_term


def _rows(level: Any) -> Any:
    height, width, channels = (int(side) for side in level.shape[1:])
    return ops.reshape(level, (-1, height * width, channels))


def _cross_entropy(logits: Any, wanted: Any) -> Any:
    return ops.maximum(logits, 0.0) - logits * wanted + ops.log1p(ops.exp(-ops.abs(logits)))
