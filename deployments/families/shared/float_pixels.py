"""Pixels that are not rounded to grey levels: resized in float32, and carried to the network in bytes.

For networks whose reference makes float32 of an image before it resizes it. A canvas has bytes, so that whole grey
levels go in one part of it and 256ths in another: what is lost is at most 1/512 of a grey level.
`with_fractions_added` of `tensor_ops` joins them again.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray


def with_fractions(image: NDArray[np.float32]) -> list[NDArray[np.uint8]]:
    """An image, float32 (height, width, 3) of 0 to 255, as two of uint8: whole grey levels, and 256ths."""
    fine = np.clip(np.rint(image * 256), 0, 255 * 256).astype(np.uint16)
    return [(fine >> 8).astype(np.uint8), (fine & 255).astype(np.uint8)]


def interpolated(pixels: NDArray[np.uint8], size_px: tuple[int, int]) -> NDArray[np.float32]:
    """uint8 (height, width, 3) to float32 of another (height, width), 0 to 255.

    Bilinear between the four nearest pixels, corners not aligned, as OpenCV's INTER_LINEAR of a float32 image and
    torchvision without antialiasing.
    """
    # Rows first: of a large image only those that count are ever made float32.
    top, bottom, part = _neighbours(pixels.shape[0], size_px[0])
    rows = _between(pixels[top], pixels[bottom], part[:, None, None])
    left, right, part = _neighbours(pixels.shape[1], size_px[1])
    return _between(rows[:, left], rows[:, right], part[None, :, None])


def _neighbours(source: int, target: int) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.float32]]:
    """For each place on an axis of `target` pixels the two of `source` around it, and the part of the way."""
    places = np.maximum((np.arange(target) + 0.5) * (source / target) - 0.5, 0.0)
    before = np.minimum(places.astype(np.intp), source - 1)
    return before, np.minimum(before + 1, source - 1), (places - before).astype(np.float32)


def _between(ones: NDArray[Any], others: NDArray[Any], part: NDArray[np.float32]) -> NDArray[np.float32]:
    mixed = ones.astype(np.float32)
    mixed += (others.astype(np.float32) - mixed) * part
    return mixed
