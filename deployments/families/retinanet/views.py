"""What RetinaNets of both origins share before the first convolution: a canvas with one or more views of an image.

A view is the image at one size, in the top left corner of its part of the canvas; parts lie one below the other.
Where a reference resizes in float32, a view has a second part, with the 256ths of its grey levels. The last row of
each part tells the graph how large the image in it is, so that all else can be set to zero after the mean is taken
off, as the references pad: no pixel value stands for that zero. Knows no network and no file.
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
    """How a canvas is divided.

    sizes_px: what the network takes of each view; None for `count` equal ones, as wide as the canvas, so that
    canvases of any size can be read.  has_fractions: whether each view has a second part.
    """

    count: int
    sizes_px: tuple[Size, ...] | None
    has_fractions: bool = False

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


def with_fractions(picture: NDArray[np.float32]) -> list[NDArray[np.uint8]]:
    """Grey levels 0 to 255 of a picture as two: whole numbers, and 256ths."""
    fine = np.clip(np.rint(picture * 256), 0, 255 * 256).astype(np.uint16)
    return [(fine >> 8).astype(np.uint8), (fine & 255).astype(np.uint8)]


def canvas_size(sizes_px: Sequence[Size]) -> Size:
    """Rows and columns of a canvas that holds parts of these sizes and their last rows."""
    return sum(height + 1 for height, _ in sizes_px), max(width for _, width in sizes_px)


def draw(pictures: Sequence[NDArray[np.uint8]], sizes_px: Sequence[Size]) -> NDArray[np.uint8]:
    """The canvas with each picture, uint8 (height, width, 3), in its part."""
    rows, columns = canvas_size(sizes_px)
    canvas = np.zeros((rows, columns, 3), np.uint8)
    top = 0
    for picture, (part_height, _) in zip(pictures, sizes_px, strict=True):
        height, width = picture.shape[:2]
        canvas[top : top + height, :width] = picture
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
