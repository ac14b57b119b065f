"""The one place where an encoded image becomes pixels, with every limit. Knows no model and no door.

Pillow reads the header first, so that a small file that claims a huge picture is refused before any memory is
spent on it. The EXIF orientation is ignored, as the legacy server did: boxes are in the pixels of the file.
"""

import io
import logging
from dataclasses import dataclass

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from deployments.errors import ImageTooLarge, InvalidImage
from deployments.logs import OWN_LOGGER
from deployments.request import Image

logger = logging.getLogger(OWN_LOGGER)

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF", "PPM")
"""Formats that are read. Pillow knows more, some of which start other programs (EPS)."""


# Our own limit is checked as soon as the header is read, and its message names the limit and the size.
PIL.Image.MAX_IMAGE_PIXELS = None


@dataclass(frozen=True, slots=True)
class ImageLimits:
    """max_encoded_bytes: size of the file.  max_pixels: height x width of the picture."""

    max_encoded_bytes: int = 64 * 2**20
    max_pixels: int = 64 * 10**6


def to_pixels(image: Image, limits: ImageLimits = ImageLimits()) -> NDArray[np.uint8]:
    """RGB uint8 pixels, height x width x 3, of `image`; read-only where they came from another process.

    Grey, palette and RGBA pictures are converted; of an animation the first frame counts.
    Raises ImageTooLarge over a limit and InvalidImage for anything that is not a readable picture.
    """
    if image.pixels is not None:
        height, width = image.pixels.shape[:2]
        _check_pixels(height, width, limits)
        return image.pixels
    if image.encoded is None or image.encoded.size == 0:
        raise InvalidImage("the image is empty")
    if image.encoded.nbytes > limits.max_encoded_bytes:
        raise ImageTooLarge(
            f"the image file has {image.encoded.nbytes} bytes, the limit is {limits.max_encoded_bytes}"
        )
    return _decode(image.encoded, limits)


def decoded_upright(image: Image, limits: ImageLimits = ImageLimits()) -> NDArray[np.uint8]:
    """Like `to_pixels`, but turned and mirrored as the file's EXIF orientation says, which some clients expect.

    Pixels that are no file any more are left as they are.
    """
    pixels = to_pixels(image, limits)
    if image.encoded is None:
        return pixels
    transposed, mirrored, turned = _STEPS_TO_UPRIGHT.get(_orientation(image.encoded), (False, False, False))
    if transposed:
        pixels = pixels.transpose(1, 0, 2)
    if mirrored:
        pixels = pixels[:, ::-1]
    if turned:
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)


_ORIENTATION_TAG = 0x0112
_STEPS_TO_UPRIGHT = {
    2: (False, True, False),
    3: (False, True, True),
    4: (False, False, True),
    5: (True, False, False),
    6: (True, True, False),
    7: (True, True, True),
    8: (True, False, True),
}
"""EXIF orientation -> whether to swap rows and columns, then to reverse the columns, then to reverse the rows."""


def _orientation(encoded: NDArray[np.uint8]) -> int:
    try:
        with PIL.Image.open(io.BytesIO(encoded.data), formats=FORMATS) as picture:
            return int(picture.getexif().get(_ORIENTATION_TAG, 1))
    except Exception:
        # The pixels could be read, so the picture is good; what its notes say of it is not.
        return 1


def _decode(encoded: NDArray[np.uint8], limits: ImageLimits) -> NDArray[np.uint8]:
    try:
        with PIL.Image.open(io.BytesIO(encoded.data), formats=FORMATS) as picture:
            _check_pixels(picture.height, picture.width, limits)
            return np.asarray(picture if picture.mode == "RGB" else picture.convert("RGB"))
    except ImageTooLarge:
        raise
    except PIL.UnidentifiedImageError:
        raise InvalidImage(f"the file is no image in a known format ({', '.join(FORMATS)})") from None
    except Exception as error:
        # Pillow's readers raise almost any type on damaged bytes; whatever it is, the picture is at fault.
        logger.debug("unreadable image", exc_info=True)
        raise InvalidImage(f"the image is damaged: {error}") from None


def _check_pixels(height: int, width: int, limits: ImageLimits) -> None:
    if height < 1 or width < 1:
        raise InvalidImage(f"the image is {width} x {height} pixels")
    if height * width > limits.max_pixels:
        raise ImageTooLarge(
            f"the image is {width} x {height} = {height * width} pixels, the limit is {limits.max_pixels}"
        )
