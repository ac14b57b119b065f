"""How each type of sample becomes RGB uint8, as OpenCV does it with IMREAD_COLOR. Knows no file."""

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from deployments.errors import InvalidImage

_CONVERTED = frozenset(("1", "L", "LA", "La", "P", "PA", "RGBA", "RGBa", "RGBX", "CMYK", "YCbCr"))
"""Modes of Pillow with 8 bits a value, or fewer, which it converts itself. An alpha channel is dropped."""

_SIXTEEN_BITS = ("I;16", "I;16L", "I;16B", "I;16N")

_REFUSED = {
    "I": "32-bit or signed whole numbers",
    "F": "32-bit floating-point values",
    "LAB": "CIE Lab colours",
    "HSV": "HSV colours",
}


def rgb_of(picture: PIL.Image.Image, is_white_zero: bool = False) -> NDArray[np.uint8]:
    """Height x width x 3. is_white_zero: of 16-bit grey, whose decoder does not care.

    Raises InvalidImage for samples of a range that nobody knows.
    """
    if picture.mode == "RGB":
        return np.asarray(picture)
    if picture.mode in _SIXTEEN_BITS:
        high = (np.asarray(picture) >> 8).astype(np.uint8)
        return np.repeat((255 - high if is_white_zero else high)[:, :, None], 3, axis=2)
    if picture.mode not in _CONVERTED:
        samples = _REFUSED.get(picture.mode, "samples of an unknown type")
        raise InvalidImage(
            f"the image has {samples} (mode {picture.mode}), which are not read; "
            f"convert it to grey or RGB of 8 or 16 bits"
        )
    return np.asarray(picture.convert("RGB"))
