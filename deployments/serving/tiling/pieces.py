"""Which detections are pieces of an object that the edge of a tile cuts, and which give way to an entire one."""

import numpy as np
from numpy.typing import NDArray

from deployments.prediction import Detections
from deployments.serving.tiling.tiles import Tile

EDGE_PX = 2.0
"""A box that comes as near to the edge of its tile ends there because the tile does."""

_COVERED_FROM = 0.6
_BLOCK = 256
_POINTS = 5
"""Along each side of a rotated box, where it is looked whether it is covered."""


def is_piece(tile: Tile, boxes: NDArray[np.float32], image_size_px: tuple[int, int]) -> NDArray[np.bool_]:
    """Whether each of the boxes (n, 4), in pixels of the tile, ends at an edge beyond which the image (height, width)
    goes on: (n,)."""
    height, width = tile.bottom_px - tile.top_px, tile.right_px - tile.left_px
    x1, y1, x2, y2 = boxes.reshape(-1, 4).T
    return (
        ((x1 <= EDGE_PX) & (tile.left_px > 0))
        | ((y1 <= EDGE_PX) & (tile.top_px > 0))
        | ((x2 >= width - EDGE_PX) & (tile.right_px < image_size_px[1]))
        | ((y2 >= height - EDGE_PX) & (tile.bottom_px < image_size_px[0]))
    )


def is_covered(found: Detections, pieces: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Of each piece, whether an entire box of its class covers most of it; False for entire boxes.

    pieces: (n,), which of `found` are. Boxes are the rotated ones where there are such.
    """
    covered = np.zeros(len(found), np.bool_)
    for class_id in np.unique(found.class_ids[pieces]):
        of_class = found.class_ids == class_id
        entire = np.flatnonzero(of_class & ~pieces)
        cut = np.flatnonzero(of_class & pieces)
        for start in range(0, len(cut), _BLOCK):
            block = cut[start : start + _BLOCK]
            covered[block] = _most_is_shared(found, block, entire)
    return covered


def _most_is_shared(found: Detections, block: NDArray[np.intp], entire: NDArray[np.intp]) -> NDArray[np.bool_]:
    boxes, others = found.boxes[block], found.boxes[entire]
    x1, y1, x2, y2 = boxes.T[:, :, None]
    wide = np.minimum(x2, others[:, 2]) - np.maximum(x1, others[:, 0])
    tall = np.minimum(y2, others[:, 3]) - np.maximum(y1, others[:, 1])
    shared = np.maximum(wide, 0.0) * np.maximum(tall, 0.0)
    area = ((x2 - x1) * (y2 - y1))[:, 0]
    if found.corners is None:
        return np.asarray((area <= 0) | (shared.max(axis=1, initial=0.0) >= _COVERED_FROM * area), np.bool_)
    most = area <= 0
    # Only of boxes that are near each other is it looked at which points lie in both.
    for one, other in _in_blocks(np.argwhere(shared > 0)):
        is_in = _points_within(found.corners[block[one]], found.corners[entire[other]])
        most[one[is_in >= _COVERED_FROM]] = True
    return np.asarray(most, np.bool_)


def _in_blocks(pairs: NDArray[np.intp]) -> list[NDArray[np.intp]]:
    """(n, 2) as pieces (2, 65,536 at most)."""
    return [pairs[start : start + _BLOCK**2].T for start in range(0, len(pairs), _BLOCK**2)]


def _points_within(corners: NDArray[np.float32], others: NDArray[np.float32]) -> NDArray[np.float32]:
    """Of each of `corners` (n, 4, 2), the part that lies in the rotated box of the same row of `others`: (n,)."""
    steps = (np.arange(_POINTS, dtype=np.float32) + 0.5) / _POINTS
    along, across = (side.ravel()[:, None, None] for side in np.meshgrid(steps, steps))
    first, second, _, last = corners.transpose(1, 0, 2)
    points = first + along * (second - first) + across * (last - first)
    first, second, _, last = others.transpose(1, 0, 2)
    inside = np.ones((len(steps) ** 2, len(others)), np.bool_)
    for side in (second - first, last - first):
        part = ((points - first) * side).sum(axis=2)
        inside &= (part >= 0) & (part <= (side**2).sum(axis=1))
    return np.asarray(inside.mean(axis=0), np.float32)
