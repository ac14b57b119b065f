"""Every format and type of sample has one stated meaning: that of OpenCV, in the file's own orientation."""

import io

import cv2
import numpy as np
import PIL.Image
import pytest
from numpy.typing import NDArray

from deployments.errors import InvalidImage
from deployments.images import decoded_upright, to_pixels
from deployments.request import Image
from tests.support.odd_files import (
    COLOURS,
    GREY,
    chunk,
    coloured,
    png_with,
    saved,
    tiff_of_strips,
    tiff_values,
    turned,
)

SIXTEEN = np.random.default_rng(5).integers(0, 2**16, (48, 64), np.uint16)
SIXTEEN_COLOURS = np.random.default_rng(6).integers(0, 2**16, (48, 64, 3), np.uint16)


def ours(content: bytes) -> NDArray[np.uint8]:
    return to_pixels(Image.from_encoded(content))


def by_opencv(content: bytes) -> NDArray[np.uint8]:
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION
    read = cv2.imdecode(np.frombuffer(content, np.uint8), flags)
    assert read is not None
    return np.asarray(read[:, :, ::-1], np.uint8)


def written(kind: str, values: NDArray[np.uint16]) -> bytes:
    return cv2.imencode(kind, values)[1].tobytes()


@pytest.mark.parametrize("kind", [".png", ".tiff", ".pgm"])
def test_sixteen_bit_grey_keeps_its_high_byte_as_in_opencv(kind: str) -> None:
    content = written(kind, SIXTEEN)
    assert np.array_equal(ours(content), np.repeat((SIXTEEN >> 8).astype(np.uint8)[:, :, None], 3, axis=2))
    assert np.array_equal(ours(content), by_opencv(content))


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "PPM"])
def test_sixteen_bit_grey_is_its_eight_bit_twin(kind: str) -> None:
    wide = saved(PIL.Image.fromarray(GREY.astype(np.uint16) * 257), kind)
    assert np.array_equal(ours(wide), ours(saved(PIL.Image.fromarray(GREY), kind)))


@pytest.mark.parametrize(("kind", "within"), [(".png", 0), (".ppm", 0), (".tiff", 1)])
def test_sixteen_bit_colours_keep_their_high_byte(kind: str, within: int) -> None:
    # OpenCV rounds those of a TIFF.
    content = written(kind, SIXTEEN_COLOURS)
    assert np.array_equal(ours(content), (SIXTEEN_COLOURS[:, :, ::-1] >> 8).astype(np.uint8))
    assert np.abs(ours(content).astype(int) - by_opencv(content)).max() <= within


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA"])
@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_pictures_of_eight_bits_and_fewer_are_as_in_opencv(kind: str, mode: str) -> None:
    content = saved(PIL.Image.fromarray(COLOURS).convert(mode), kind)
    assert np.array_equal(ours(content), by_opencv(content))


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_deflate", "packbits", "jpeg"])
@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
def test_compressed_tiff_is_as_in_opencv(mode: str, compression: str) -> None:
    content = saved(PIL.Image.fromarray(COLOURS).convert(mode), "TIFF", compression=compression)
    assert np.abs(ours(content).astype(int) - by_opencv(content)).max() <= 1


@pytest.mark.parametrize("mode", ["RGBX", "PA", "YCbCr", "CMYK"])
def test_rare_modes_of_tiff_are_as_in_opencv(mode: str) -> None:
    picture = PIL.Image.fromarray(COLOURS)
    content = saved(picture.convert("P").convert("PA") if mode == "PA" else picture.convert(mode), "TIFF")
    assert np.abs(ours(content).astype(int) - by_opencv(content)).max() <= 1


def test_cmyk_jpeg_is_as_in_opencv() -> None:
    # Adobe's programs write the values inverted, and so does Pillow.
    content = saved(PIL.Image.fromarray(COLOURS).convert("CMYK"), "JPEG", quality=95)
    assert np.abs(ours(content).astype(int) - by_opencv(content)).max() <= 1
    assert np.abs(ours(content).astype(int) - COLOURS).mean() < 5


def test_a_transparent_palette_is_decoded_as_without_transparency() -> None:
    picture = PIL.Image.fromarray(COLOURS).quantize(16)
    assert np.array_equal(
        ours(saved(picture, "PNG", transparency=bytes(range(16)))), np.asarray(picture.convert("RGB"))
    )


def test_white_is_zero_where_a_tiff_says_so() -> None:
    content = tiff_of_strips((64, 48), 48, SIXTEEN.tobytes(), bits=16, photometric=0)
    assert np.array_equal(ours(content)[:, :, 0], 255 - (SIXTEEN >> 8))
    assert np.array_equal(ours(content), by_opencv(content))


def test_twelve_bits_of_a_tiff_are_all_its_range() -> None:
    values = (SIXTEEN >> 4).reshape(-1, 2).astype(np.uint32)
    first, second = values[:, 0], values[:, 1]
    packed = np.stack([first >> 4, (first & 15) << 4 | second >> 8, second & 255], 1).astype(np.uint8)
    content = tiff_of_strips((64, 48), 48, packed.tobytes(), bits=12)
    assert np.array_equal(ours(content)[:, :, 0], SIXTEEN >> 8)


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (tiff_values("<f4", 3), "32-bit floating-point"),
        (tiff_values("<f4", 3, samples=3, photometric=2), "3 values a pixel of 32-bit floating-point"),
        (tiff_values("<u4", 1), "32-bit whole numbers"),
        (tiff_values("<i2", 2), "16-bit signed"),
        (tiff_values("u1", 1, samples=3, photometric=8), "Lab"),
        (tiff_values("<u2", 1, samples=2), "2 values a pixel of 16-bit"),
        (b"Pf 2 2 -1.0\n" + bytes(16), "floating-point"),
    ],
)
def test_samples_without_a_known_meaning_are_refused_by_name(content: bytes, named: str) -> None:
    with pytest.raises(InvalidImage, match=named) as refused:
        ours(content)
    assert "8 or 16 bits" in refused.value.message


@pytest.mark.parametrize("highest", [1, 15, 100, 255, 1023, 65535])
def test_a_pgm_is_stretched_from_its_own_white(highest: int) -> None:
    values = np.array([[0, highest // 2, highest]])
    content = f"P5 3 1 {highest}\n".encode() + values.astype(np.uint8 if highest < 256 else ">u2").tobytes()
    assert np.allclose(ours(content)[0, :, 0], values[0] * 255 / highest, atol=1)


@pytest.mark.parametrize("width", [1, 7, 8, 9, 64])
def test_a_pbm_of_any_width_is_as_in_opencv(width: int) -> None:
    content = saved(PIL.Image.fromarray(GREY[:, :width] > 60), "PPM")
    assert np.array_equal(ours(content), by_opencv(content))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize(
    ("kind", "options"),
    [("JPEG", {}), ("PNG", {}), ("WEBP", {"lossless": True}), ("TIFF", {}), ("TIFF", {"big_tiff": True})],
)
def test_one_rule_for_orientation_in_all_formats(kind: str, options: dict[str, object], orientation: int) -> None:
    content = turned(kind, orientation, **options)
    stored = ours(coloured(kind, **options))
    assert np.array_equal(ours(content), stored)
    upright = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)[:, :, ::-1]
    assert np.array_equal(decoded_upright(Image.from_encoded(content)), upright)


def test_what_a_png_says_beside_its_pixels_changes_nothing() -> None:
    kept = ours(coloured("PNG"))
    for extra in (chunk(b"tEXt", b"no end"), chunk(b"iCCP", b"none"), chunk(b"gAMA", bytes(4)), chunk(b"eXIf", b"?")):
        assert np.array_equal(ours(png_with(extra)), kept)
        assert np.array_equal(ours(png_with(extra[:-1] + b"?")), kept)


def test_what_is_left_out_of_a_file_costs_no_memory() -> None:
    whole = coloured("PNG")
    assert np.array_equal(ours(whole), ours(whole[:33] + chunk(b"zTXt", b"a\0\0" + bytes(2**20)) * 20 + whole[33:]))


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "BMP", "PPM"])
def test_a_file_that_is_cut_off_is_refused(kind: str) -> None:
    content = coloured(kind)
    for length in (len(content) - 90, len(content) // 2):
        if kind == "TIFF":
            assert content[4:8] == b"\x08\0\0\0"  # The pixels are at its end.
        with pytest.raises(InvalidImage, match="damaged"):
            ours(content[:length])


def test_a_palette_of_a_gif_counts_though_comments_are_left_out() -> None:
    picture = PIL.Image.fromarray(COLOURS).quantize(64)
    content = saved(picture, "GIF", comment=b"x" * 1000)
    with PIL.Image.open(io.BytesIO(content)) as read:
        assert np.array_equal(ours(content), np.asarray(read.convert("RGB")))
