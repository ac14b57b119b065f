"""Masks as the run lengths of Label Studio's brush. Pure.

The format is that of the package rle-pack (thi.ng/umbrella), for the red, green, blue and alpha of each pixel, row
by row. 32 bits: number of values. 5 bits: bits of a value, minus one. Four times 4 bits: widths of a run's length,
minus one. Then for each run: 1 bit, set where one value is repeated; 2 bits, which of the widths; the length minus
one; the value.
"""

import numpy as np
from numpy.typing import NDArray

from deployments.errors import InvalidRequest
from deployments.prediction import Masks

_WIDTHS = np.array([3, 4, 8, 16])
_LONGEST = 2**16
_VALUE_BITS = 8
_CHANNELS = 4
_WIDEST = 1 + 2 + 16 + _VALUE_BITS
_INSIDE = 255
_AT_ONCE = 2**14
"""Runs that are written at once, as each takes some hundred bytes meanwhile."""

MAX_SPANS = 500_000
"""Of one mask, counted in each row of the image. Noise has that many; an outline has a few for each row."""


def brush_runs(masks: Masks, index: int, image_size_px: tuple[int, int]) -> NDArray[np.uint8]:
    """One mask at the full size of the image (height, width), as bytes. Raises InvalidRequest beyond MAX_SPANS."""
    part, first_column = masks.columns(index)
    begin, end = _spans(part, first_column, masks.size_px[1], image_size_px)
    height, width = image_size_px
    # Outside and inside in turn: the gap before each span, the span, and the gap after the last.
    edges = np.empty(2 * len(begin) + 2, np.int64)
    edges[0], edges[-1] = 0, height * width
    edges[1:-1:2], edges[2:-1:2] = begin, end
    lengths = np.diff(edges) * _CHANNELS
    values = np.zeros(len(lengths), np.int64)
    values[1::2] = _INSIDE
    is_there = lengths > 0
    return _packed(height * width * _CHANNELS, lengths[is_there], values[is_there])


def _spans(
    mask: NDArray[np.uint8], first_column: int, all_columns: int, image_size_px: tuple[int, int]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Where the mask begins and ends in each row of the image, counted in pixels from its first one.

    The mask lies on a coarser grid that covers the image, so each of its rows is several of the image's.
    mask: some columns of that grid, from `first_column` of `all_columns`.
    """
    height, width = image_size_px
    rows, columns = mask.shape
    bordered = np.zeros((rows, columns + 2), np.int8)
    bordered[:, 1:-1] = mask
    changes = np.diff(bordered, axis=1)
    row, first = np.nonzero(changes == 1)
    _, last = np.nonzero(changes == -1)
    column_px = (np.arange(columns + 1) + first_column) * width // all_columns
    row_px = np.arange(rows + 1) * height // rows
    repeats = np.diff(row_px)[row]
    if (spans := int(repeats.sum())) > MAX_SPANS:
        raise InvalidRequest(
            f"a mask has {spans} pieces in the rows of the image, the limit of a brush is {MAX_SPANS}; "
            "have the configuration ask for PolygonLabels"
        )
    which = np.repeat(np.arange(len(row)), repeats)
    below = np.arange(len(which)) - np.repeat(np.cumsum(repeats) - repeats, repeats)
    left = (row_px[row][which] + below) * width
    begin, end = left + column_px[first][which], left + column_px[last][which]
    order = np.argsort(begin, kind="stable")
    return begin[order], end[order]


def _packed(count: int, lengths: NDArray[np.int64], values: NDArray[np.int64]) -> NDArray[np.uint8]:
    pieces = -(-lengths // _LONGEST)
    which = np.repeat(np.arange(len(lengths)), pieces)
    is_last = np.zeros(len(which), np.bool_)
    is_last[np.cumsum(pieces) - 1] = True
    lengths = np.where(is_last, lengths[which] - (pieces[which] - 1) * _LONGEST, _LONGEST)
    choice = np.searchsorted(2**_WIDTHS, lengths)
    widths = _WIDTHS[choice]
    tokens = ((0b100 | choice) << widths | lengths - 1) << _VALUE_BITS | values[which]
    head = f"{count:032b}{_VALUE_BITS - 1:05b}" + "".join(f"{width - 1:04b}" for width in _WIDTHS)
    bits = [np.frombuffer(head.encode(), np.uint8) - ord("0")]
    for start in range(0, len(tokens), _AT_ONCE):
        some = slice(start, start + _AT_ONCE)
        bits.append(_bits(tokens[some], 3 + widths[some] + _VALUE_BITS))
    return np.packbits(np.concatenate(bits))


def _bits(tokens: NDArray[np.int64], used: NDArray[np.int64]) -> NDArray[np.uint8]:
    """The lowest bits of each token, as many as it uses, highest first."""
    places = np.arange(_WIDEST - 1, -1, -1)
    return ((tokens[:, None] >> places) & 1).astype(np.uint8)[places < used[:, None]]
