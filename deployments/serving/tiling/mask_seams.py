"""Which pieces of objects belong together: those whose masks agree where two tiles look at the same pixels.

An object larger than the overlap of two tiles is cut in both. In what they share, both show the same part of it, so
that the two masks are nearly equal there, and those of neighbours are not. Tiles that only touch share the line
between them: the last cells of one are compared with the first of the other.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deployments.prediction import Detections
from deployments.prediction.masks import Masks
from deployments.prediction.placed_masks import Chosen
from deployments.serving.tiling.pieces import EDGE_PX
from deployments.serving.tiling.tiles import Tile

AGREE_FROM = 0.5
"""IoU of two masks within the pixels that both tiles look at, from which they show one object."""

MOST_PIECES = 1024
"""Best pieces of an image that are looked at, and `MOST_PAIRS` of them, those first that overlap most."""

MOST_PAIRS = 4096

_POINTS = 48
"""Along each axis, where two masks are compared: a bounded work for masks of any size."""


@dataclass(frozen=True, slots=True)
class Piece:
    """number: of the detection.  mask: of which tile, and which there.  box: (4,) in pixels of the image."""

    number: int
    mask: Chosen
    box: NDArray[np.float32]
    class_id: int


def belonging_together(pieces: Sequence[Piece], parts: Sequence[tuple[Tile, Detections]]) -> list[list[int]]:
    """Groups of two and more pieces, by their numbers. A group has one piece of each tile at most.

    pieces: best first; the best are looked at.  parts: all tiles with what is found in them, with masks.
    """
    pieces = pieces[:MOST_PIECES]
    scored = [(_agreement(pieces[one], pieces[other], parts), one, other) for one, other in _near(pieces, parts)]
    groups = [[index] for index in range(len(pieces))]
    for agreement, one, other in sorted(scored, key=lambda pair: -pair[0]):
        both = groups[one] + groups[other]
        if agreement < AGREE_FROM or len({pieces[index].mask[0] for index in both}) < len(both):
            continue
        for index in both:
            groups[index] = both
    return [
        [pieces[index].number for index in group]
        for place, group in enumerate(groups)
        if len(group) > 1 and min(group) == place
    ]


def _near(pieces: Sequence[Piece], parts: Sequence[tuple[Tile, Detections]]) -> list[tuple[int, int]]:
    """Pairs of one class and of two tiles that overlap or touch in what both tiles look at."""
    if len(pieces) < 2:
        return []
    tiles = np.array([_sides(parts[piece.mask[0]][0]) for piece in pieces], np.float32)
    # Pieces that end at a seam reach beyond it a little.
    boxes = np.stack([piece.box for piece in pieces]) + np.array([-EDGE_PX, -EDGE_PX, EDGE_PX, EDGE_PX], np.float32)
    kinds = np.array([piece.class_id for piece in pieces])
    owners = np.array([piece.mask[0] for piece in pieces])
    seen = np.concatenate([tiles[:, :2] - EDGE_PX, tiles[:, 2:] + EDGE_PX], axis=1)
    low = np.maximum(boxes[:, None, :2], boxes[None, :, :2])
    low = np.maximum(low, np.maximum(seen[:, None, :2], seen[None, :, :2]))
    high = np.minimum(boxes[:, None, 2:], boxes[None, :, 2:])
    high = np.minimum(high, np.minimum(seen[:, None, 2:], seen[None, :, 2:]))
    shared = np.maximum(high - low, 0).prod(axis=2)
    shared[(kinds[:, None] != kinds) | (owners[:, None] >= owners)] = 0
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    shared /= np.minimum(areas[:, None], areas)
    ones, others = np.nonzero(shared)
    order = np.argsort(-shared[ones, others], kind="stable")[:MOST_PAIRS]
    return list(zip(ones[order].tolist(), others[order].tolist(), strict=True))


def _agreement(one: Piece, other: Piece, parts: Sequence[tuple[Tile, Detections]]) -> float:
    """IoU of two masks within what both tiles look at."""
    sides = np.stack([_sides(parts[piece.mask[0]][0]) for piece in (one, other)])
    boxes = np.stack([one.box, other.box])
    low = np.maximum(sides[:, :2].max(axis=0), boxes[:, :2].min(axis=0))
    high = np.maximum(np.minimum(sides[:, 2:].min(axis=0), boxes[:, 2:].max(axis=0)), low)
    steps = (np.arange(_POINTS) + 0.5) / _POINTS
    x, y = (side.ravel() for side in np.meshgrid(*(low[:, None] + steps * (high - low)[:, None])))
    first, second = (_covers(piece, parts, x, y) for piece in (one, other))
    either = np.count_nonzero(first | second)
    return np.count_nonzero(first & second) / either if either else 0.0


def _covers(
    piece: Piece, parts: Sequence[tuple[Tile, Detections]], x: NDArray[np.float64], y: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Whether points in pixels of the image are in the mask of a piece; a point beyond its tile is moved into it."""
    part, index = piece.mask
    tile, found = parts[part]
    assert isinstance(found.masks, Masks)
    rows = _cells(y, tile.top_px, tile.bottom_px, found.masks.size_px[0])
    columns = _cells(x, tile.left_px, tile.right_px, found.masks.size_px[1])
    return found.masks.at(index, rows, columns)


def _cells(places: NDArray[np.float64], first_px: int, stop_px: int, cells: int) -> NDArray[np.int64]:
    inside = np.floor((places - first_px) * (cells / (stop_px - first_px)))
    return np.clip(inside, 0, cells - 1).astype(np.int64)


def _sides(tile: Tile) -> NDArray[np.float64]:
    return np.array([tile.left_px, tile.top_px, tile.right_px, tile.bottom_px], np.float64)
