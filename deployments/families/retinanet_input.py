"""What RetinaNets of both origins share before the first convolution: a canvas with one or more views of an image.

A view is the image at one size, in the top left corner of its part of the canvas; parts lie one below the other.
The last row of each part tells the graph how large the image in it is, so that all else can be set to zero after
the mean is taken off, as the references pad: no pixel value stands for that zero. Knows no network and no file.
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

    sizes_px: what the network takes of each part, without its last row; None for `count` equal parts, as wide as
    the canvas, so that canvases of any size can be read.
    """

    count: int
    sizes_px: tuple[Size, ...] | None

    def split(self, canvases: Any) -> Iterator[Any]:
        """The parts of a batch of canvases, uint8 (n, rows, columns, 3), each (n, height + 1, width, 3)."""
        sizes_px = self.sizes_px
        if sizes_px is None:
            rows, columns = int(canvases.shape[1]), int(canvases.shape[2])
            sizes_px = ((rows // self.count - 1, columns),) * self.count
        top = 0
        for height, width in sizes_px:
            yield canvases[:, top : top + height + 1, :width]
            top += height + 1


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


def normalized(part: Any, mean_bgr: tuple[float, float, float], dtype: str) -> Any:
    """Parts (n, height + 1, width, 3) to BGR less its mean, (n, height, width, 3), zero outside the images."""
    height, width = int(part.shape[1]) - 1, int(part.shape[2])
    image_height, image_width = _two_bytes(part, height, 0), _two_bytes(part, height, 1)
    inside_rows = ops.arange(height) < image_height[:, None]
    inside_columns = ops.arange(width) < image_width[:, None]
    mask = ops.logical_and(inside_rows[:, :, None], inside_columns[:, None, :])[..., None]
    bgr = ops.cast(part[:, :height, :, ::-1], "float32") - np.array(mean_bgr, np.float32)
    return ops.cast(ops.where(mask, bgr, 0.0), dtype)


def _two_bytes(part: Any, row: int, column: int) -> Any:
    values = ops.cast(part[:, row, column, :2], "int32")
    return values[:, 0] * 256 + values[:, 1]
