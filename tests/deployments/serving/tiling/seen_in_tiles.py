"""A family of its own that sees bright spots: what it finds in the tiles of an image, with masks or rotated boxes."""

from collections.abc import Iterable, Sequence
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from deployments.families.contract import Thresholds
from deployments.prediction import Detections, Masks
from deployments.serving.tiling.tiles import Tile

LIMITS = Thresholds(score_threshold=0.25, iou_threshold=0.45, max_detections=1000)

Bright = NDArray[np.bool_]


def ellipse(size_px: tuple[int, int], middle: tuple[int, int], axes_px: tuple[int, int], degrees: float) -> Bright:
    """An image (height, width) with one animal."""
    drawn = np.zeros(size_px, np.uint8)
    cv2.ellipse(drawn, middle, axes_px, degrees, 0, 360, 1, -1)
    return drawn > 0


def with_masks(bright: Bright, shrink: int = 1) -> Detections:
    """Each spot with its mask, on a grid that is `shrink` times coarser; the larger the better."""
    count, owners, found, _ = cv2.connectedComponentsWithStats(bright.astype(np.uint8), connectivity=8)
    left, top, wide, tall, area = found[1:].T
    owners = owners[::shrink, ::shrink]
    return _detections(
        np.stack([left, top, left + wide, top + tall], axis=1),
        area / bright.size,
        masks=Masks.of(count - 1, lambda index: owners == index + 1, (owners.shape[0], owners.shape[1])),
    )


def with_corners(bright: Bright) -> Detections:
    """Each spot with the smallest rotated box around it."""
    pieces, _ = cv2.findContours(bright.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    corners = np.array([cv2.boxPoints(cv2.minAreaRect(piece)) for piece in pieces], np.float32).reshape(-1, 4, 2)
    around = np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)
    limits = np.array([bright.shape[1], bright.shape[0]] * 2)
    return _detections(
        np.clip(around, 0, limits), np.array([len(piece) for piece in pieces]) / bright.size, corners=corners
    )


def seen(bright: Bright, tiles: Iterable[Tile]) -> list[tuple[Tile, Detections]]:
    """What each tile shows, with masks."""
    return [(tile, with_masks(np.ascontiguousarray(tile.cut(bright)))) for tile in tiles]  # type: ignore[arg-type]


def seen_rotated(bright: Bright, tiles: Iterable[Tile]) -> list[tuple[Tile, Detections]]:
    """What each tile shows, with rotated boxes."""
    return [(tile, with_corners(np.ascontiguousarray(tile.cut(bright)))) for tile in tiles]  # type: ignore[arg-type]


def dense(found: Detections) -> Sequence[Bright]:
    """The masks of all."""
    assert found.masks is not None
    return [found.masks.dense(index) for index in range(len(found))]


def _detections(boxes: NDArray[Any], parts: NDArray[Any], **beside: Any) -> Detections:
    order = np.argsort(-parts, kind="stable")
    none = np.zeros(len(boxes), np.int32)
    scores = (0.3 + 0.6 * np.minimum(parts, 1)).astype(np.float32)
    found = Detections(boxes.astype(np.float32).reshape(-1, 4), scores, none, ("crab",) * len(boxes), **beside)
    return found.picked(order)
