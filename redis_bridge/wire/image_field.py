"""The image of a legacy job, as the queue's profile says or as the job itself shows.

Where the profile leaves it open, size and type follow from the job: `height` x `width` x 3 bytes are uint8 RGB,
four times as many are little-endian float32 BGR, as the legacy web server writes them. Any other length is read as an
image file where it begins like a JPEG, PNG, ... file. The length is checked first, as pixels may by chance begin like
a file, while a file never has exactly the length of its pixels.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from deployments.errors import ImageTooLarge, InvalidImage, InvalidRequest
from deployments.images import ImageLimits
from deployments.request import Image
from deployments.text.base64_text import decoded_base64
from redis_bridge.wire.encodings import ENCODINGS
from redis_bridge.wire.pixels import rgb_from_floats, rgb_from_integers
from redis_bridge.wire.profiles import MAX_SIDE_PX, DType, QueueProfile

FILE_BEGINNINGS = (
    b"\xff\xd8\xff",
    b"\x89PNG\r\n\x1a\n",
    b"GIF8",
    b"RIFF",
    b"BM",
    b"II*\x00",
    b"MM\x00*",
    b"II+\x00",
    b"MM\x00+",
)
KNOWN_FILES = "JPEG, PNG, WebP, BMP, TIFF or GIF"

_VALUE_BYTES: dict[DType, int] = {"uint8": 1, "float32": 4}
_SIZE_FIELDS = {"height-width": ("height", "width"), "h-w": ("h", "w")}


@dataclass(frozen=True, slots=True)
class _Shape:
    """Of raw pixels."""

    height_px: int
    width_px: int
    channels: int

    is_fixed: bool = False
    """Whether the profile says so, and not the job."""

    @property
    def values(self) -> int:
        return self.height_px * self.width_px * self.channels


def image_from_job(fields: Mapping[str, Any], profile: QueueProfile, limits: ImageLimits) -> Image:
    """The image in the profile's `image_field`: pixels in C order, or an image file, as bytes or as base64 text.

    Raises InvalidRequest, InvalidImage or ImageTooLarge, which name the field, the limit and the value.
    """
    name = profile.image_field
    field = fields.get(name)
    if not isinstance(field, str | bytes) or not field:
        raise InvalidRequest(f"{name} must be {ENCODINGS[profile.encoding].image_type}, got {shown(field)}")
    content = field if isinstance(field, bytes) else decoded_base64(field, name)
    if profile.image == "file":
        return _file_image(content, name, limits)
    could_be_file = profile.image == "auto" and content.startswith(FILE_BEGINNINGS)
    try:
        shape = _shape_of(fields, profile)
    except InvalidRequest:
        if could_be_file:
            return _file_image(content, name, limits)
        raise
    size_bytes = len(content)
    dtype = _dtype_of_length(size_bytes, shape.values, profile)
    if dtype is None:
        if could_be_file:
            return _file_image(content, name, limits)
        raise InvalidImage(_wrong_length(size_bytes, shape, profile))
    pixels_count = shape.height_px * shape.width_px
    if pixels_count > limits.max_pixels:
        raise ImageTooLarge(
            f"the image is {shape.width_px} x {shape.height_px} = {pixels_count} pixels, "
            f"the limit is {limits.max_pixels}"
        )
    size = (shape.height_px, shape.width_px, shape.channels)
    if dtype == "uint8":
        return Image.from_pixels(rgb_from_integers(np.frombuffer(content, np.uint8).reshape(size), profile))
    return Image.from_pixels(rgb_from_floats(np.frombuffer(content, "<f4").reshape(size), profile))


def image_from_file(content: bytes, field: str, limits: ImageLimits) -> Image:
    """The image whose file lies under a Redis key of its own. field: the job's field that names the key.

    Raises InvalidImage when it is not an image file, ImageTooLarge over the limit.
    """
    if len(content) > limits.max_encoded_bytes:
        raise ImageTooLarge(f"the image file has {len(content)} bytes, the limit is {limits.max_encoded_bytes}")
    if not content.startswith(FILE_BEGINNINGS):
        raise InvalidImage(f"the key in {field} must hold a {KNOWN_FILES} file, got {shown(content[:8])}")
    return Image.from_encoded(content)


def shown(value: Any) -> str:
    """`value` for an error message: at most 40 characters."""
    try:
        text = repr(value)
    except RecursionError:
        return "something nested too deeply"
    return text if len(text) <= 40 else f"{text[:37]}..."


def _dtype_of_length(size_bytes: int, values: int, profile: QueueProfile) -> DType | None:
    """The type of `values` values in `size_bytes` bytes; None where no type that the profile allows fits."""
    for dtype, value_bytes in _VALUE_BYTES.items():
        if size_bytes == values * value_bytes and profile.dtype in ("auto", dtype):
            return dtype
    return None


def _wrong_length(size_bytes: int, shape: _Shape, profile: QueueProfile) -> str:
    needed = " or ".join(
        f"{shape.values * value_bytes} ({dtype} {'grey' if shape.channels == 1 else profile.order_of(dtype).upper()})"
        for dtype, value_bytes in _VALUE_BYTES.items()
        if profile.dtype in ("auto", dtype)
    )
    whose = " of the queue's profile" if shape.is_fixed else ""
    file = ", and it is not an image file" if profile.image == "auto" else ""
    return (
        f"{profile.image_field} has {size_bytes} bytes, but height {shape.height_px} and width {shape.width_px}"
        f"{whose} need {needed}{file}"
    )


def _shape_of(fields: Mapping[str, Any], profile: QueueProfile) -> _Shape:
    source = profile.shape_from if profile.shape_from != "auto" else _shape_source(fields, profile)
    if source == "fixed" and profile.fixed_shape_px is not None:
        return _Shape(*profile.fixed_shape_px, profile.channels, is_fixed=True)
    if source == "shape":
        return _shape_in(fields.get("shape"), profile.channels)
    height, width = _SIZE_FIELDS[source]
    return _Shape(_side(height, fields.get(height)), _side(width, fields.get(width)), profile.channels)


def _shape_source(fields: Mapping[str, Any], profile: QueueProfile) -> str:
    for source, names in _SIZE_FIELDS.items():
        if any(fields.get(name) is not None for name in names):
            return source
    if fields.get("shape") is not None:
        return "shape"
    if profile.fixed_shape_px is not None:
        return "fixed"
    raise InvalidRequest(
        "the job does not say how large its image is: needed are height and width, or h and w, or shape, "
        f"or an image file ({KNOWN_FILES}), or a profile of the queue with fixed_shape_px"
    )


def _shape_in(value: Any, channels: int) -> _Shape:
    sides = value if isinstance(value, list) else []
    if len(sides) == 4 and sides[0] == 1:
        sides = sides[1:]
    if len(sides) == 3 and sides[2] in (1, 3):
        sides, channels = sides[:2], sides[2]
    if len(sides) != 2:
        raise InvalidRequest(
            f"shape must be [height, width], [height, width, 1 or 3] or that with a leading 1, got {shown(value)}"
        )
    return _Shape(_side("shape[0]", sides[0]), _side("shape[1]", sides[1]), channels)


def _side(name: str, value: Any) -> int:
    if type(value) is not int or not 1 <= value <= MAX_SIDE_PX:
        raise InvalidRequest(f"{name} must be a whole number from 1 to {MAX_SIDE_PX}, got {shown(value)}")
    return value


def _file_image(content: bytes, field: str, limits: ImageLimits) -> Image:
    if len(content) > limits.max_encoded_bytes:
        raise ImageTooLarge(f"the image file has {len(content)} bytes, the limit is {limits.max_encoded_bytes}")
    if not content.startswith(FILE_BEGINNINGS):
        raise InvalidImage(f"{field} must be a {KNOWN_FILES} file on this queue, got {shown(content[:8])}")
    return Image.from_encoded(content)
