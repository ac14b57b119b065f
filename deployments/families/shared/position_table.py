"""A table of positions for another number of patches, as torch's `interpolate(mode="bicubic")` makes it.

In numpy, when a network is built: the canvas of a model does not change.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

_SMOOTH, _SHARP = -0.5, -0.75
"""The parameter of the cubic kernel: torch has Pillow's with antialiasing, and OpenCV's without."""


def resized_positions(
    table: NDArray[Any], size: tuple[int, int], is_antialiased: bool = False
) -> NDArray[np.float64]:
    """A table (rows, columns, channels) for `size`, (rows, columns), with corners not aligned."""
    down = _resizing(table.shape[0], size[0], is_antialiased)
    across = _resizing(table.shape[1], size[1], is_antialiased)
    return np.asarray(np.einsum("ai,bj,ijc->abc", down, across, table.astype(np.float64), optimize=True))


def _resizing(source: int, target: int, is_antialiased: bool) -> NDArray[np.float64]:
    """The matrix (target, source) that resizes one axis."""
    step = source / target
    centres = (np.arange(target) + 0.5) * step
    if is_antialiased:
        # As torch's `_upsample_bicubic2d_aa`: a wider kernel where an axis shrinks, cut at the edges.
        wide = max(step, 1.0)
        places = np.arange(source) + 0.5
        weights = _cubic((places - centres[:, None]) / wide, _SMOOTH)
        return np.asarray(weights / weights.sum(axis=1, keepdims=True))
    # As torch's `upsample_bicubic2d`: four neighbours, those beyond an edge being the edge's.
    matrix = np.zeros((target, source))
    first = np.floor(centres - 0.5).astype(int) - 1
    for tap in range(4):
        weights = _cubic(first + tap + 0.5 - centres, _SHARP)
        np.add.at(matrix, (np.arange(target), np.clip(first + tap, 0, source - 1)), weights)
    return matrix


def _cubic(distance: NDArray[np.float64], a: float) -> NDArray[np.float64]:
    """Keys' kernel (1981, doi:10.1109/TASSP.1981.1163711), which is 0 from a distance of 2 on."""
    x = np.abs(distance)
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = a * (((x - 5) * x + 8) * x - 4)
    return np.asarray(np.where(x <= 1, near, np.where(x < 2, far, 0.0)))
