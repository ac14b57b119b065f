"""What RetinaNets of both origins share before the first convolution: a canvas with one or more views of an image.

A view is the image at one size, in the top left corner of its part of the canvas; parts lie one below the other.
Where a reference resizes in float32, a view has a second part, with the 256ths of its grey levels. The last row of
each part tells the graph how large the image in it is, so that all else can be set to zero after the mean is taken
off, as the references pad: no pixel value stands for that zero.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from keras import ops
from numpy.typing import NDArray

Size = tuple[int, int]
"""Height and width in pixels."""


@dataclass(frozen=True, slots=True)
class Views:
    """How a canvas is divided."""

    count: int
    """How many views it has."""

    sizes_px: tuple[Size, ...] | None
    """What the network takes of each view; None for equal ones, as wide as the canvas, so that canvases of any size
    can be read."""

    has_fractions: bool = False
    """Whether each view has a second part."""

    def normalized(self, canvases: Any, mean_bgr: tuple[float, float, float], dtype: str) -> Iterator[Any]:
        """The views of a batch of canvases, uint8 RGB (n, rows, columns, 3), as BGR less its mean, each (n, height,
        width, 3), zero outside the images."""
        parts = self._split(canvases)
        for part in parts:
            bgr = _inside(part, mean_bgr)
            if self.has_fractions:
                bgr = bgr + _inside(next(parts), (0.0, 0.0, 0.0)) / 256
            yield ops.cast(bgr, dtype)

    def _split(self, canvases: Any) -> Iterator[Any]:
        """The parts, each (n, height + 1, width, 3)."""
        repeats = 2 if self.has_fractions else 1
        sizes_px = self.sizes_px
        if sizes_px is None:
            rows, columns = int(canvases.shape[1]), int(canvases.shape[2])
            sizes_px = ((rows // (self.count * repeats) - 1, columns),) * self.count
        top = 0
        for height, width in sizes_px:
            for _ in range(repeats):
                yield canvases[:, top : top + height + 1, :width]
                top += height + 1


def canvas_size(sizes_px: Sequence[Size]) -> Size:
    """Rows and columns of a canvas that holds parts of these sizes and their last rows."""
    return sum(height + 1 for height, _ in sizes_px), max(width for _, width in sizes_px)


def draw(images: Sequence[NDArray[np.uint8]], sizes_px: Sequence[Size]) -> NDArray[np.uint8]:
    """The canvas, uint8 (rows, columns, 3), with each image, uint8 (height, width, 3), in its part."""
    rows, columns = canvas_size(sizes_px)
    canvas = np.zeros((rows, columns, 3), np.uint8)
    top = 0
    for image, (part_height, _) in zip(images, sizes_px, strict=True):
        height, width = image.shape[:2]
        canvas[top : top + height, :width] = image
        top += part_height
        canvas[top, 0, :2] = divmod(height, 256)
        canvas[top, 1, :2] = divmod(width, 256)
        top += 1
    return canvas


def _inside(part: Any, mean_bgr: tuple[float, float, float]) -> Any:
    """A part (n, height + 1, width, 3) as float32 BGR less its mean, zero outside the images."""
    height, width = int(part.shape[1]) - 1, int(part.shape[2])
    image_height, image_width = _two_bytes(part, height, 0), _two_bytes(part, height, 1)
    inside_rows = ops.arange(height) < image_height[:, None]
    inside_columns = ops.arange(width) < image_width[:, None]
    mask = ops.logical_and(inside_rows[:, :, None], inside_columns[:, None, :])[..., None]
    bgr = ops.cast(part[:, :height, :, ::-1], "float32") - np.array(mean_bgr, np.float32)
    return ops.where(mask, bgr, 0.0)


def _two_bytes(part: Any, row: int, column: int) -> Any:
    values = ops.cast(part[:, row, column, :2], "int32")
    return values[:, 0] * 256 + values[:, 1]
