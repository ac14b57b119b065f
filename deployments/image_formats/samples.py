"""How each type of sample becomes RGB uint8, as OpenCV does it with IMREAD_COLOR."""

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from deployments.image_formats.header import Header, not_read

_CONVERTED = frozenset(("1", "L", "LA", "La", "P", "PA", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr"))
"""Modes of Pillow with 8 bits a value, or fewer, which it converts itself. An alpha channel is dropped."""

_SIXTEEN_BITS = ("I;16", "I;16L", "I;16B", "I;16N")

_REFUSED = {
    "I": "32-bit or signed whole numbers",
    "F": "32-bit floating-point values",
    "LAB": "CIE Lab colours",
    "HSV": "HSV colours",
}


def grey_rgb(values: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """RGB of grey, by an operation that lets other threads run meanwhile."""
    pixels = np.empty((*values.shape, 3), np.uint8)
    pixels[:] = values[:, :, None]
    return pixels


def rgb_of(opened: PIL.Image.Image, header: Header) -> NDArray[np.uint8]:
    """Height x width x 3. Of grey with more than 8 bits the highest 8 are kept.

    Raises InvalidImage for samples of a range that nobody knows.
    """
    if opened.mode == "RGB":
        return np.asarray(opened)
    if opened.mode in _SIXTEEN_BITS:
        high = (np.asarray(opened) >> (header.bits - 8)).astype(np.uint8)
        # The decoder of 16-bit grey does not ask what is white.
        return grey_rgb(255 - high if header.is_white_zero else high)
    if opened.mode not in _CONVERTED:
        raise not_read(f"{_REFUSED.get(opened.mode, 'samples of an unknown type')} (mode {opened.mode})")
    # Its alpha channel is dropped, so that nothing need be told of one that does not fit.
    opened.load()
    opened.info.pop("transparency", None)
    return np.asarray(opened.convert("RGB"))
