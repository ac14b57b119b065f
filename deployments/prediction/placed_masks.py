"""Masks of parts of an image on one grid of the whole, moved, enlarged or shrunk, and joined.

They are intervals of rows on the way and never pixels: a thousand masks of a large frame would be gigabytes.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deployments.prediction.masks import MAX_RUNS, Masks

MAX_CELLS = 2**23
"""Of the grid of a whole image: a frame of 4K in full, a larger one in less. Who writes down a mask may look at all
of them."""

Intervals = tuple[NDArray[np.int64], NDArray[np.int64]]
"""Where a mask is, as [start, end) of the cells of a grid, counted column by column; in order and apart."""

Size = tuple[int, int]
"""Height, width."""

Chosen = tuple[int, int]
"""Which part, and which of its masks."""


@dataclass(frozen=True, slots=True)
class MaskedPart:
    """The masks of a part of an image. left_px, top_px, right_px, bottom_px: where the part lies, the last two
    exclusive."""

    masks: Masks
    left_px: int
    top_px: int
    right_px: int
    bottom_px: int


def placed(
    objects: Sequence[Sequence[Chosen]], parts: Sequence[MaskedPart], image_size_px: Size, most_runs: int = MAX_RUNS
) -> Masks:
    """A mask for each of `objects`, the union of those that are chosen for it.

    The grid is as fine as the finest of the parts', but not finer than the pixels of the image, and of MAX_CELLS at
    most. A cell is in a mask if its middle is. Where the masks have more than `most_runs` runs together, the grid has
    half as many rows and columns, or a quarter, and so on.
    """
    size = _grid_size(parts, image_size_px)
    while (runs := _all_runs(objects, parts, image_size_px, size, most_runs)) is None:
        size = -(-size[0] // 2), -(-size[1] // 2)
    joined = np.concatenate(runs) if runs else np.zeros(0, np.uint32)
    return Masks(size, joined, np.array([len(one) for one in runs], np.int32))


def coarser(masks: Masks, most_runs: int) -> Masks:
    """The same masks, on a grid so much coarser that they have `most_runs` runs at most."""
    if masks.run_lengths.size <= most_runs:
        return masks
    height, width = masks.size_px
    return placed(
        [[(0, index)] for index in range(len(masks))],
        [MaskedPart(masks, 0, 0, width, height)],
        masks.size_px,
        most_runs,
    )


def _grid_size(parts: Sequence[MaskedPart], image_size_px: Size) -> Size:
    rows = max(part.masks.size_px[0] / (part.bottom_px - part.top_px) for part in parts)
    columns = max(part.masks.size_px[1] / (part.right_px - part.left_px) for part in parts)
    height, width = image_size_px[0] * min(rows, 1.0), image_size_px[1] * min(columns, 1.0)
    shrink = min(1.0, math.sqrt(MAX_CELLS / (height * width)))
    return max(1, int(height * shrink + 1e-6)), max(1, int(width * shrink + 1e-6))


def _all_runs(
    objects: Sequence[Sequence[Chosen]], parts: Sequence[MaskedPart], image_size_px: Size, size: Size, most_runs: int
) -> list[NDArray[np.uint32]] | None:
    """None: there are too many."""
    places = [_Place(part, image_size_px, size) for part in parts]
    runs: list[NDArray[np.uint32]] = []
    total = 0
    for chosen in objects:
        pieces = []
        for part, index in chosen:
            intervals = places[part].intervals(index, most_runs)
            if intervals is None:
                return None
            pieces.append(intervals)
        runs.append(_run_lengths(_union(pieces), size[0] * size[1]))
        total += len(runs[-1])
        # A mask has two runs at least, the one outside and the one inside.
        if total > most_runs and total > 2 * len(runs):
            return None
    return runs


class _Place:
    """Where the cells of a part's grid come to lie on the grid of the image."""

    def __init__(self, part: MaskedPart, image_size_px: Size, size: Size) -> None:
        self._masks = part.masks
        self._height = size[0]
        rows, columns = part.masks.size_px
        self._row_starts = _first_cells(part.top_px, part.bottom_px, rows, image_size_px[0], size[0])
        self._column_starts = _first_cells(part.left_px, part.right_px, columns, image_size_px[1], size[1])

    def intervals(self, index: int, most: int) -> Intervals | None:
        """One mask, on the grid of the image, not in order. None where it grows beyond `most` intervals."""
        columns, tops, bottoms = _columns_of(self._masks, index)
        firsts = self._column_starts[columns]
        repeats = self._column_starts[columns + 1] - firsts
        if int(repeats.sum()) > max(most, len(columns)):
            return None
        columns = np.repeat(firsts, repeats) + _counted(repeats)
        starts = columns * self._height + np.repeat(self._row_starts[tops], repeats)
        ends = columns * self._height + np.repeat(self._row_starts[bottoms], repeats)
        is_there = ends > starts
        return starts[is_there], ends[is_there]


def _first_cells(first_px: int, stop_px: int, cells: int, image_px: int, image_cells: int) -> NDArray[np.int64]:
    """Along one axis, the first cell of the image whose middle lies in each cell of a part, and the end.

    Gives (cells + 1,). first_px, stop_px: where the part lies.
    """
    edges_px = first_px + np.arange(cells + 1) * ((stop_px - first_px) / cells)
    # Rounded, so that grids of equal cells fit exactly.
    middles = np.round(edges_px * (image_cells / image_px) - 0.5, 6)
    return np.clip(np.ceil(middles), 0, image_cells).astype(np.int64)


def _columns_of(masks: Masks, index: int) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Of each interval of a mask in one column: the column, its first row, the row behind its last."""
    height = masks.size_px[0]
    edges = np.cumsum(masks.runs(index), dtype=np.int64)
    starts, ends = edges[:-1:2], edges[1::2]
    starts, ends = starts[ends > starts], ends[ends > starts]
    firsts = starts // height
    counts = (ends - 1) // height - firsts + 1
    columns = np.repeat(firsts, counts) + _counted(counts)
    tops = np.maximum(np.repeat(starts, counts) - columns * height, 0)
    bottoms = np.minimum(np.repeat(ends, counts) - columns * height, height)
    return columns, tops, bottoms


def _counted(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """0, 1, ... up to each of the counts, one after another."""
    return np.asarray(np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts), np.int64)


def _union(pieces: Sequence[Intervals]) -> Intervals:
    """In order, and one interval instead of several that meet or touch."""
    if not pieces:
        return np.zeros(0, np.int64), np.zeros(0, np.int64)
    starts, ends = (np.concatenate(several) for several in zip(*pieces, strict=True))
    order = np.argsort(starts, kind="stable")
    starts, ends = starts[order], np.maximum.accumulate(ends[order])
    is_new = np.ones(len(starts), np.bool_)
    is_new[1:] = starts[1:] > ends[:-1]
    return starts[is_new], ends[np.roll(is_new, -1)]


def _run_lengths(intervals: Intervals, cells: int) -> NDArray[np.uint32]:
    starts, ends = intervals
    edges = np.concatenate([[0], np.stack([starts, ends], axis=1).ravel(), [cells]])
    lengths = np.diff(edges)
    return (lengths[:-1] if len(starts) and lengths[-1] == 0 else lengths).astype(np.uint32)
