"""The vectors of one project in memory, and which of them are nearest. numpy only."""

import time
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from deployments.errors import DeadlineExceeded
from deployments.vectors import Neighbour

ROWS_AT_ONCE = 8192
"""Rows between two looks at the clock: a few hundredths of a second for 32 queries."""

Name = tuple[str, str]
"""Label and id."""


class VectorTable:
    """Rows of length 1, in no order. Not for several threads at once."""

    def __init__(self, dimension: int, expected: int = 0) -> None:
        """expected: for how many vectors memory is taken at first."""
        self._names: list[Name] = []
        self._row_of: dict[Name, int] = {}
        self._rows = np.empty((max(expected, 1), dimension), np.float32)

    def __len__(self) -> int:
        return len(self._names)

    @property
    def size_bytes(self) -> int:
        """Memory of the vectors, without their names."""
        return self._rows.nbytes

    def put(self, names: Sequence[Name], values: NDArray[np.float32]) -> None:
        """Adds vectors, float32 (n, d), none of length 0, in place of those of the same name."""
        units = unit_rows(values)
        for name, unit in zip(names, units, strict=True):
            row = self._row_of.setdefault(name, len(self._names))
            if row == len(self._names):
                self._names.append(name)
                self._grow_to(len(self._names))
            self._rows[row] = unit

    def nearest(self, queries: NDArray[np.float32], most: int, ends_at_s: float) -> list[list[Neighbour]]:
        """For each query, float32 (q, d), the `most` nearest by cosine distance, the nearest first, and those at the
        same distance by their names; which of these are left out, where there are too many, is chance. ends_at_s: on
        the monotonic clock; raises DeadlineExceeded."""
        units = unit_rows(queries)
        count = len(self._names)
        best = np.zeros((len(units), 0), np.float32)
        rows = np.zeros((len(units), 0), np.intp)
        for first in range(0, count, ROWS_AT_ONCE):
            if time.monotonic() > ends_at_s:
                raise DeadlineExceeded(f"the search of {count} vectors was ended: there was no time left")
            last = min(first + ROWS_AT_ONCE, count)
            best = np.hstack([best, units @ self._rows[first:last].T])
            rows = np.hstack([rows, np.broadcast_to(np.arange(first, last), (len(units), last - first))])
            if best.shape[1] > most:
                kept = np.argpartition(-best, most - 1, axis=1)[:, :most]
                best, rows = np.take_along_axis(best, kept, 1), np.take_along_axis(rows, kept, 1)
        return [self._neighbours(*pair) for pair in zip(rows.tolist(), best.tolist(), strict=True)]

    def _neighbours(self, rows: Sequence[int], cosines: Sequence[float]) -> list[Neighbour]:
        pairs = zip(rows, cosines, strict=True)
        found = sorted((min(max(1.0 - cosine, 0.0), 2.0), *self._names[row]) for row, cosine in pairs)
        return [Neighbour(label, name, distance) for distance, label, name in found]

    def _grow_to(self, count: int) -> None:
        capacity, dimension = self._rows.shape
        if count > capacity:
            grown = np.empty((max(count, capacity * 5 // 4), dimension), np.float32)
            grown[:capacity] = self._rows
            self._rows = grown


def unit_rows(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Each row divided by its length."""
    # In float64, as the square of a large float32 has no place in one.
    lengths = np.sqrt(np.einsum("ij,ij->i", values, values, dtype=np.float64))
    return np.asarray(values / lengths[:, None], np.float32)
