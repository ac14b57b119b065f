"""The pixels of detections, as run lengths: a frame full of animals weighs kilobytes and not gigabytes."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from deployments.process.message import message

MAX_RUNS = 500_000
"""Run lengths of one image's masks, 2 MB. A thousand smooth outlines have half as many on a grid of 640 x 640."""


@message
@dataclass(frozen=True, slots=True)
class Masks:
    """One mask for each of n detections.

    size_px: height, width of the grid that the masks lie on. It covers the whole image, mostly in fewer pixels.
    run_lengths: uint32, those of the first mask, then of the second, ... Pixels go column by column, and the first
        run of a mask is outside it, perhaps of length 0, as in COCO's uncompressed format.
    run_counts: int32 (n,), how many of the run lengths belong to each mask.
    """

    size_px: tuple[int, int]
    run_lengths: NDArray[np.uint32]
    run_counts: NDArray[np.int32]

    @classmethod
    def of(cls, count: int, mask_of: Callable[[int], NDArray[np.bool_]], size_px: tuple[int, int]) -> Self:
        """From `mask_of(0)`, `mask_of(1)`, ..., each (height, width), of which one at a time is in memory.

        Where they have more than MAX_RUNS runs together, as noise has, only every second row and column is kept, or
        every fourth, and so on. Raises ValueError for a mask of another size.
        """
        step = 1
        while (runs := _all_runs(count, mask_of, size_px, step)) is None:
            step *= 2
        joined = np.concatenate(runs) if runs else np.zeros(0, np.uint32)
        counts = np.array([len(one) for one in runs], np.int32)
        return cls((-(-size_px[0] // step), -(-size_px[1] // step)), joined, counts)

    def __len__(self) -> int:
        return len(self.run_counts)

    def dense(self, index: int) -> NDArray[np.bool_]:
        """The mask of one detection, (height, width)."""
        lengths = self.runs(index)
        is_inside = np.arange(len(lengths)) % 2 == 1
        return np.repeat(is_inside, lengths).reshape(self.size_px, order="F")

    def at(self, index: int, rows: NDArray[np.integer[Any]], columns: NDArray[np.integer[Any]]) -> NDArray[np.bool_]:
        """Whether cells of the grid, (k,) rows and (k,) columns, are in the mask of one detection: (k,)."""
        ends = np.cumsum(self.runs(index), dtype=np.int64)
        runs_before = np.searchsorted(ends, columns * self.size_px[0] + rows, side="right")
        return np.asarray(runs_before % 2 == 1, np.bool_)

    def outline(self, index: int, image_size_px: tuple[int, int]) -> NDArray[np.float32]:
        """The outline of the largest piece of a mask, (points, 2) x y in pixels of the image (height, width); without
        points where the mask has fewer than three corners."""
        # Most processes that know what a prediction is never draw one.
        import cv2

        columns, first = self.columns(index)
        pieces, _ = cv2.findContours(columns, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE, offset=(first, 0))
        corners = max((piece[:, 0] for piece in pieces), key=cv2.contourArea, default=np.zeros((0, 2)))
        scale = np.divide(image_size_px, self.size_px)[::-1]
        return np.asarray(corners * scale if len(corners) > 2 else np.zeros((0, 2)), np.float32)

    def columns(self, index: int) -> tuple[NDArray[np.uint8], int]:
        """Those columns of a mask, (height, columns), in which it has pixels, and the number of the first. An animal
        is in few of them."""
        height, _ = self.size_px
        lengths = self.runs(index).astype(np.int64)
        first = int(lengths[0]) // height
        lengths[0] -= first * height
        if len(lengths) % 2 and len(lengths) > 1:
            lengths[-1] = -int(lengths[:-1].sum()) % height
        is_inside = np.arange(len(lengths), dtype=np.uint8) % 2
        return np.ascontiguousarray(np.repeat(is_inside, lengths).reshape((height, -1), order="F")), first

    def picked(self, indices: NDArray[np.intp]) -> Self:
        """The masks of some detections, in this order."""
        runs = [self.runs(int(index)) for index in indices]
        joined = np.concatenate(runs) if runs else np.zeros(0, np.uint32)
        return type(self)(self.size_px, joined, self.run_counts[indices])

    def runs(self, index: int) -> NDArray[np.uint32]:
        """The run lengths of one mask, as the class says."""
        end = int(self.run_counts[: index + 1].sum())
        return self.run_lengths[end - int(self.run_counts[index]) : end]


def _all_runs(
    count: int, mask_of: Callable[[int], NDArray[np.bool_]], size_px: tuple[int, int], step: int
) -> list[NDArray[np.uint32]] | None:
    """None: there are too many."""
    runs, total = [], 0
    for index in range(count):
        mask = mask_of(index)
        if mask.shape != size_px:
            raise ValueError(f"a mask of {mask.shape} on a grid of {size_px}")
        runs.append(_run_lengths(mask[::step, ::step]))
        total += len(runs[-1])
        # A mask has two runs at least, the one outside and the one inside.
        if total > MAX_RUNS and total > 2 * (index + 1):
            return None
    return runs


def _run_lengths(mask: NDArray[np.bool_]) -> NDArray[np.uint32]:
    pixels = np.ravel(mask, order="F")
    changes = np.flatnonzero(pixels[1:] != pixels[:-1]) + 1
    first = [0] if pixels[0] else []
    return np.diff(np.concatenate([[0], first, changes, [pixels.size]])).astype(np.uint32)
