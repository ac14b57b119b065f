"""Masks as COCO's compressed run lengths, on a grid of the size of the image.

A model's masks lie on a grid of their own that covers the image. They are enlarged as run lengths and never as
pixels: a thousand masks of a large image would be gigabytes. Source of the format: cocodataset/cocoapi, `maskApi.c`.
"""

from typing import Any, TypedDict

import numpy as np
from numpy.typing import NDArray
from pycocotools import mask as coco_mask

from deployments.prediction import Masks
from serve_app.formats.contract import too_large

MAX_INTERVALS = 4_000_000
"""Of one enlarged mask, in all columns. All masks of an image have 250,000 on their own grid, so this is a grid of
640 columns on the widest image of 64 megapixels with a height of 6,000."""


class RunLengths(TypedDict):
    """size: height, width.  counts: COCO's text."""

    size: list[int]
    counts: str


def full_size_mask(masks: Masks, index: int, image_size_px: tuple[int, int]) -> tuple[RunLengths, int]:
    """A mask on the grid of the image (height, width), and its area in pixels.

    A pixel of the image is in the mask if the cell of the masks' grid is in which it begins.
    Raises InvalidRequest for a mask of too many pieces.
    """
    part, first_column = masks.columns(index)
    starts, ends = _joined(*_intervals(part, first_column, masks.size_px[1], image_size_px))
    total = image_size_px[0] * image_size_px[1]
    edges = np.concatenate([[0], np.stack([starts, ends], axis=1).ravel(), [total]])
    area = int((ends - starts).sum())
    return RunLengths(size=list(image_size_px), counts=compressed_counts(np.diff(edges))), area


def compressed_counts(run_lengths: NDArray[np.integer[Any]]) -> str:
    """The text of one mask's run lengths, column by column, outside first."""
    size_px = [int(run_lengths.sum()), 1]  # which the text does not depend on
    written: dict[str, Any] = coco_mask.frPyObjects({"size": size_px, "counts": run_lengths}, *size_px)
    return str(written["counts"], "ascii")


def _intervals(
    mask: NDArray[np.uint8], first_column: int, all_columns: int, image_size_px: tuple[int, int]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where the mask is, as [start, end) of the image's pixels counted column by column, in order.

    mask: some columns of its grid, from `first_column` of `all_columns`.
    """
    height, width = image_size_px
    changes = np.diff(np.pad(mask, ((1, 1), (0, 0))).astype(np.int8), axis=0)
    columns, first_rows = np.nonzero(changes.T == 1)
    last_rows = np.nonzero(changes.T == -1)[1]
    row_starts = _first_pixels(mask.shape[0], height)
    column_starts = _first_pixels(all_columns, width)[first_column : first_column + mask.shape[1] + 1]
    per_column = np.bincount(columns, minlength=mask.shape[1])
    repeats = np.diff(column_starts)
    if int((per_column * repeats).sum()) > MAX_INTERVALS:
        raise too_large()
    # For each column of the image, the intervals of the grid's column that it lies in.
    grid_columns = np.repeat(np.arange(mask.shape[1]), repeats)
    counts = per_column[grid_columns]
    firsts = np.cumsum(per_column) - per_column
    chosen = np.repeat(firsts[grid_columns] - (np.cumsum(counts) - counts), counts) + np.arange(counts.sum())
    offsets = np.repeat(np.arange(column_starts[0], column_starts[-1]), counts) * height
    return offsets + row_starts[first_rows[chosen]], offsets + row_starts[last_rows[chosen]]


def _first_pixels(cells: int, pixels: int) -> NDArray[np.int64]:
    """The first pixel of each cell along one axis, and the end; equal ones where a cell has no pixel."""
    return -(-np.arange(cells + 1) * pixels // cells)


def _joined(starts: NDArray[np.int64], ends: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Without empty intervals, and with one instead of several that touch."""
    is_there = ends > starts
    starts, ends = starts[is_there], ends[is_there]
    is_new = np.ones(len(starts), np.bool_)
    is_new[1:] = starts[1:] > ends[:-1]
    return starts[is_new], ends[np.roll(is_new, -1)]
