"""The `image` field of a legacy job as an Image: BGR, float32 and base64 end here. Pure; knows no Redis.

The field says neither type nor shape, so both are told from its length: `height` x `width` x 3 bytes are uint8
RGB, four times as many are little-endian float32 BGR, as the legacy web server writes them. A length that is
neither is read as an image file where it begins like a JPEG, PNG, ... file. The length is asked first, as a
picture may by chance begin like a file, while a file never has exactly the length of its pixels.
"""

import binascii
from typing import Any

import numpy as np
import pybase64
from numpy.typing import NDArray

from deployments.errors import ImageTooLarge, InvalidImage, InvalidRequest
from deployments.images import ImageLimits
from deployments.request import Image

MAX_SIDE_PX = 65535

_FILE_BEGINNINGS = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF8", b"RIFF", b"BM", b"II*\x00", b"MM\x00*")
_FLOATS_A_BLOCK = 2**18


def image_from_field(field: Any, height: Any, width: Any, limits: ImageLimits) -> Image:
    """The picture of a job. field: base64 text of pixels in C order, or of an image file; height, width: pixels.

    Raises InvalidRequest, InvalidImage or ImageTooLarge, which name the field, the limit and the value.
    """
    if not isinstance(field, str) or not field:
        raise InvalidRequest(f"image must be base64 text, got {_shown(field)}")
    text = field if len(field) % 4 == 0 and "\n" not in field else "".join(field.split())
    size_bytes = _decoded_size(text)
    if height is None and width is None and _begins_like_a_file(text):
        return _file_image(text, size_bytes, limits)
    try:
        height_px, width_px = _side("height", height), _side("width", width)
    except InvalidRequest:
        if _begins_like_a_file(text):
            return _file_image(text, size_bytes, limits)
        raise
    values = height_px * width_px * 3
    if size_bytes not in (values, values * 4):
        if _begins_like_a_file(text):
            return _file_image(text, size_bytes, limits)
        raise InvalidImage(
            f"image has {size_bytes} bytes, but height {height_px} and width {width_px} need "
            f"{values} (uint8 RGB) or {values * 4} (float32 BGR), and it is no image file"
        )
    if height_px * width_px > limits.max_pixels:
        raise ImageTooLarge(
            f"the image is {width_px} x {height_px} = {height_px * width_px} pixels, the limit is {limits.max_pixels}"
        )
    raw = _decoded(text)
    if size_bytes == values:
        return Image.from_pixels(np.frombuffer(raw, np.uint8).reshape(height_px, width_px, 3))
    return Image.from_pixels(rgb_from_bgr(np.frombuffer(raw, "<f4").reshape(height_px, width_px, 3)))


def rgb_from_bgr(bgr: NDArray[np.float32]) -> NDArray[np.uint8]:
    """float32 BGR (height, width, 3), 0 to 255, as uint8 RGB of the same size: rounded half to even, clipped.

    Raises InvalidImage for values that are no finite numbers.
    """
    height_px, width_px, _ = bgr.shape
    rgb = np.empty(bgr.shape, np.uint8)
    rows = max(1, _FLOATS_A_BLOCK // (width_px * 3))
    # In blocks that fit the processor's cache: no second float32 picture is ever made.
    block = np.empty((rows, width_px, 3), np.float32)
    for top in range(0, height_px, rows):
        values = bgr[top : top + rows]
        rounded = np.rint(values, out=block[: len(values)])
        if not np.isfinite(rounded).all():
            raise InvalidImage("image holds values that are no finite numbers (NaN or infinity)")
        np.clip(rounded, 0, 255, out=rounded)
        rgb[top : top + rows] = rounded[:, :, ::-1]
    return rgb


def _side(name: str, value: Any) -> int:
    if type(value) is not int or not 1 <= value <= MAX_SIDE_PX:
        raise InvalidRequest(f"{name} must be a whole number from 1 to {MAX_SIDE_PX}, got {_shown(value)}")
    return value


def _file_image(text: str, size_bytes: int, limits: ImageLimits) -> Image:
    if size_bytes > limits.max_encoded_bytes:
        raise ImageTooLarge(f"the image file has {size_bytes} bytes, the limit is {limits.max_encoded_bytes}")
    return Image.from_encoded(_decoded(text))


def _decoded(text: str) -> bytes:
    try:
        return pybase64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise InvalidImage(f"image is no valid base64: {error}") from None


def _decoded_size(text: str) -> int:
    return len(text) * 3 // 4 - text[-2:].count("=")


def _begins_like_a_file(text: str) -> bool:
    try:
        head = pybase64.b64decode(text[:16], validate=True)
    except (binascii.Error, ValueError):
        return False
    return head.startswith(_FILE_BEGINNINGS)


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."
