"""The one place where an encoded image becomes pixels, with every limit.

The file's own header is read first: a small file that claims a huge image is refused before any memory is spent on
it, and a decoder sees only what makes pixels. The orientation is ignored, as the legacy server did: boxes are in the
pixels of the file.
"""

import io
import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from deployments.errors import DeadlineExceeded, ImageTooLarge, InvalidImage, ServingError
from deployments.image_formats import bmp, gif, jpeg, png, pnm, tiff, webp
from deployments.image_formats.header import Header, damaged, not_read
from deployments.image_formats.metered import MeteredFile
from deployments.image_formats.samples import rgb_of
from deployments.logs import OWN_LOGGER
from deployments.request import Image

logger = logging.getLogger(OWN_LOGGER)

FORMATS = ("JPEG", "PNG", "WEBP", "BMP", "TIFF", "GIF", "PPM")
"""Formats that are read. Pillow knows more, some of which start other programs (EPS)."""

MAX_SIDE_PX = 65_535
"""Of an image; no JPEG can have more, and a decoder holds a pointer for each row."""

SLOW_PX = 10_000_000
"""Images of more pixels are decoded one after the other. A 4K frame has 8.3 million."""

_READERS: dict[bytes, Callable[[memoryview], Header]] = {
    b"\xff\xd8\xff": jpeg.read_header,
    png.SIGNATURE: png.read_header,
    b"GIF87a": gif.read_header,
    b"GIF89a": gif.read_header,
    b"RIFF": webp.read_header,
    b"BM": bmp.read_header,
    **dict.fromkeys((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"), tiff.read_header),
    **dict.fromkeys(pnm.BEGINNINGS, pnm.read_header),
}

# Our own limit is checked before Pillow sees the file, and its message names the limit and the size.
PIL.Image.MAX_IMAGE_PIXELS = None


@dataclass(frozen=True, slots=True)
class ImageLimits:
    """max_encoded_bytes: size of the file.  max_pixels: height x width of the image.  max_decode_cpu_s: seconds
    that a thread may spend on decoding it."""

    max_encoded_bytes: int = 64 * 2**20
    max_pixels: int = 64 * 10**6
    max_decode_cpu_s: float = 10.0


@dataclass(slots=True)
class Encoded:
    """A file whose header has been read and is within the limits."""

    header: Header
    limits: ImageLimits

    @property
    def decoded_bytes(self) -> int:
        """What its pixels will hold."""
        return self.header.height_px * self.header.width_px * 3

    @property
    def is_slow(self) -> bool:
        """Whether decoding it takes much longer than an ordinary frame does: tenths of a second, or seconds."""
        header = self.header
        return max(header.height_px * header.width_px, header.effort_px) > SLOW_PX

    def pixels(self, ends_at_s: float = math.inf) -> NDArray[np.uint8]:
        """As `to_pixels`."""
        try:
            return self._decoded(ends_at_s)
        except ServingError:
            raise
        except Exception as error:
            # Pillow's readers raise almost any type on damaged bytes; whatever it is, the image is at fault.
            logger.debug("unreadable image", exc_info=True)
            raise damaged(str(error)) from None

    def _decoded(self, ends_at_s: float) -> NDArray[np.uint8]:
        header = self.header
        if time.monotonic() >= ends_at_s:
            raise DeadlineExceeded("the time was over before the image was decoded")
        if header.kind == pnm.KIND:
            return pnm.pixels_of(header)
        file = MeteredFile.of(b"".join(header.parts), self.limits.max_decode_cpu_s, ends_at_s)
        with _opened(file, header) as opened:
            if opened.size != (header.width_px, header.height_px):
                raise damaged("it has two sizes")
            return rgb_of(opened, header)


def _opened(file: io.BytesIO, header: Header) -> PIL.Image.Image:
    try:
        return PIL.Image.open(file, formats=(header.kind,))
    except PIL.UnidentifiedImageError:
        if header.samples:
            raise not_read(header.samples) from None
        raise damaged(f"its {header.kind} header makes no sense, or is of a kind that is not read") from None


def read_header(image: Image, limits: ImageLimits = ImageLimits()) -> Encoded:
    """What `image`, which must be encoded, is, and that it may be decoded. Takes microseconds.

    Raises ImageTooLarge over a limit and InvalidImage for anything that is not an image of a format that is read.
    """
    if image.encoded is None or image.encoded.size == 0:
        raise InvalidImage("the image is empty")
    if image.encoded.nbytes > limits.max_encoded_bytes:
        raise ImageTooLarge(
            f"the image file has {image.encoded.nbytes} bytes, the limit is {limits.max_encoded_bytes}"
        )
    data = image.encoded.data
    header = _reader_for(bytes(data[:8]))(data)
    _check_pixels(header.height_px, header.width_px, limits)
    return Encoded(header, limits)


def to_pixels(image: Image, limits: ImageLimits = ImageLimits(), ends_at_s: float = math.inf) -> NDArray[np.uint8]:
    """RGB uint8 pixels, height x width x 3, of `image`; read-only where they came from another process.

    Grey, palette and RGBA images are converted; of an animation the first frame counts.
    ends_at_s: on the monotonic clock; from then on nobody waits for them.
    Raises ImageTooLarge over a limit, InvalidImage for anything that is not a readable image, DeadlineExceeded.
    """
    if image.pixels is not None:
        height, width = image.pixels.shape[:2]
        _check_pixels(height, width, limits)
        return image.pixels
    return read_header(image, limits).pixels(ends_at_s)


def decoded_upright(image: Image, limits: ImageLimits = ImageLimits()) -> NDArray[np.uint8]:
    """Like `to_pixels`, but turned and mirrored as the file's orientation says, which some clients expect.

    An image that is given as pixels is left as it is.
    """
    if image.pixels is not None:
        return to_pixels(image, limits)
    encoded = read_header(image, limits)
    pixels = encoded.pixels()
    transposed, mirrored, turned = _STEPS_TO_UPRIGHT[encoded.header.orientation]
    if transposed:
        pixels = pixels.transpose(1, 0, 2)
    if mirrored:
        pixels = pixels[:, ::-1]
    if turned:
        pixels = pixels[::-1]
    return np.ascontiguousarray(pixels)


_STEPS_TO_UPRIGHT = {
    1: (False, False, False),
    2: (False, True, False),
    3: (False, True, True),
    4: (False, False, True),
    5: (True, False, False),
    6: (True, True, False),
    7: (True, True, True),
    8: (True, False, True),
}
"""EXIF orientation -> whether to swap rows and columns, then to reverse the columns, then to reverse the rows."""


def _reader_for(beginning: bytes) -> Callable[[memoryview], Header]:
    for length in (3, 8, 2, 4, 6):
        reader = _READERS.get(beginning[:length])
        if reader is not None:
            return reader
    raise InvalidImage(f"the file is not an image of a known format ({', '.join(FORMATS)})")


def _check_pixels(height: int, width: int, limits: ImageLimits) -> None:
    if height < 1 or width < 1:
        raise InvalidImage(f"the image is {width} x {height} pixels")
    if height * width > limits.max_pixels:
        raise ImageTooLarge(
            f"the image is {width} x {height} = {height * width} pixels, the limit is {limits.max_pixels}"
        )
    if max(height, width) > MAX_SIDE_PX:
        raise ImageTooLarge(f"the image is {width} x {height} pixels, the limit of a side is {MAX_SIDE_PX}")
