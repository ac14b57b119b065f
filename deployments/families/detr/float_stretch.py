"""An image stretched onto a canvas in float32, as rfdetr's `predict()` does, and how bytes carry the result.

The reference makes float32 of an image before it resizes it with torchvision, so that nothing is rounded to grey
levels. A canvas has bytes: whole grey levels in its upper half, and 256ths of them in its lower half. What is lost is
at most 1/512 of a grey level.
"""

from typing import Any

import numpy as np
import PIL.Image
from keras import ops
from numpy.typing import NDArray

from deployments.families.shared.float_pixels import interpolated, with_fractions
from deployments.families.shared.tensor_ops import with_fractions_added

Size = tuple[int, int]
"""Height and width in pixels."""


def canvas_size(size_px: Size) -> Size:
    """Rows and columns of the canvas for a network's input of this size."""
    return 2 * size_px[0], size_px[1]


def stretched(pixels: NDArray[np.uint8], size_px: Size, antialias: bool) -> NDArray[np.uint8]:
    """An image, uint8 (height, width, 3), on its canvas, uint8 (2 * size_px[0], size_px[1], 3).

    Bilinear, corners not aligned. antialias: whether shrinking averages over all pixels, as torchvision does unless
    it is told not to, or looks at four of them.
    """
    resized = _averaged(pixels, size_px) if antialias else interpolated(pixels, size_px)
    return np.concatenate(with_fractions(resized))


def unstretched(canvases: Any) -> Any:
    """A batch of canvases, uint8 (n, rows, columns, 3), to float32 images (n, rows / 2, columns, 3) of 0 to 255."""
    return with_fractions_added(ops.cast(canvases, "float32"))


def _averaged(pixels: NDArray[np.uint8], size_px: Size) -> NDArray[np.float32]:
    # Pillow's filter in float32 is torchvision's with antialiasing; it takes one channel at a time.
    width_height = size_px[1], size_px[0]
    channels = [PIL.Image.fromarray(pixels[..., channel].astype(np.float32)) for channel in range(3)]
    resized = [image.resize(width_height, PIL.Image.Resampling.BILINEAR) for image in channels]
    return np.stack([np.asarray(image, np.float32) for image in resized], axis=-1)
