"""Encoded images become RGB pixels; hostile ones become clear errors."""

import io
import struct
import zlib

import numpy as np
import PIL.Image
import pytest

from deployments.errors import ImageTooLarge, InvalidImage
from deployments.images import ImageLimits, to_pixels
from deployments.request import Image


def encoded(picture: PIL.Image.Image, file_format: str, **options: object) -> Image:
    buffer = io.BytesIO()
    picture.save(buffer, file_format, **options)
    return Image.from_encoded(buffer.getvalue())


def coloured(mode: str = "RGB") -> PIL.Image.Image:
    pixels = np.zeros((6, 9, 3), np.uint8)
    pixels[:, :4] = (200, 30, 10)
    return PIL.Image.fromarray(pixels).convert(mode)


@pytest.mark.parametrize("file_format", ["PNG", "BMP", "TIFF", "PPM", "WEBP", "JPEG", "GIF"])
def test_known_formats_become_rgb(file_format: str) -> None:
    pixels = to_pixels(encoded(coloured(), file_format))
    assert pixels.shape == (6, 9, 3)
    assert pixels.dtype == np.uint8
    assert pixels[3, 0, 0] > 150 > pixels[3, 0, 2]


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "LA", "1", "CMYK"])
def test_other_colour_modes_are_converted(mode: str) -> None:
    file_format = "TIFF" if mode == "CMYK" else "PNG"
    assert to_pixels(encoded(coloured(mode), file_format)).shape == (6, 9, 3)


def test_exif_orientation_is_ignored() -> None:
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    assert to_pixels(encoded(coloured(), "JPEG", exif=exif)).shape == (6, 9, 3)


def test_pixels_pass_through_untouched() -> None:
    pixels = np.arange(27, dtype=np.uint8).reshape(3, 3, 3)
    assert to_pixels(Image.from_pixels(pixels)) is pixels


def png_that_claims(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"hello",
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 1 1\n",
        b"\x89PNG\r\n\x1a\n",
        b"\xff\xd8\xff\xe0" + b"\0" * 50,
        png_that_claims(10, 10),
        b"GIF89a" + b"\xff" * 40,
        b"BM" + b"\xff" * 60,
        b"II*\0" + b"\xff" * 60,
    ],
)
def test_what_is_no_picture_is_refused(data: bytes) -> None:
    with pytest.raises(InvalidImage):
        to_pixels(Image.from_encoded(data))


def test_a_truncated_picture_is_refused() -> None:
    buffer = io.BytesIO()
    PIL.Image.effect_noise((64, 64), 50).save(buffer, "PNG")
    with pytest.raises(InvalidImage, match="damaged"):
        to_pixels(Image.from_encoded(buffer.getvalue()[:-500]))


def test_a_small_file_that_claims_a_huge_picture_is_refused_before_decoding() -> None:
    with pytest.raises(ImageTooLarge, match="30000"):
        to_pixels(Image.from_encoded(png_that_claims(30000, 30000)))


def test_limits_are_named() -> None:
    limits = ImageLimits(max_encoded_bytes=10, max_pixels=20)
    with pytest.raises(ImageTooLarge, match="10"):
        to_pixels(Image.from_encoded(b"x" * 11), limits)
    with pytest.raises(ImageTooLarge, match="20"):
        to_pixels(Image.from_pixels(np.zeros((5, 5, 3), np.uint8)), limits)
