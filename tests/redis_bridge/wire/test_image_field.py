"""What a job's image is: as the profile says, else as the job shows, else refused in words."""

import base64
import io
from typing import Any

import numpy as np
import PIL.Image
import pytest
from numpy.typing import NDArray

from deployments.errors import InvalidImage, InvalidRequest, ServingError
from deployments.images import ImageLimits, to_pixels
from deployments.request import Image
from redis_bridge.wire.image_field import image_from_file, image_from_job
from redis_bridge.wire.profiles import QueueProfile

RGB = np.random.default_rng(5).integers(0, 256, (5, 7, 3), dtype=np.uint8)
LIMITS = ImageLimits(max_encoded_bytes=10_000, max_pixels=5_000)

SIZES: list[dict[str, Any]] = [
    {"height": 5, "width": 7},
    {"h": 5, "w": 7},
    {"shape": [5, 7]},
    {"shape": [5, 7, 3]},
    {"shape": [1, 5, 7, 3]},
    {"height": 5, "width": 7, "h": 1, "w": 1, "shape": [2, 2]},
]
"""Ways in which a job says the size of RGB."""


def base64_of(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def floats(values: NDArray[Any]) -> str:
    return base64_of(np.ascontiguousarray(values, "<f4").tobytes())


def read(profile: Any, **fields: Any) -> Image:
    return image_from_job(fields, QueueProfile.model_validate(profile), LIMITS)


def refusal(profile: Any, **fields: Any) -> ServingError:
    with pytest.raises(ServingError) as refused:
        read(profile, **fields)
    assert len(refused.value.message) < 300
    return refused.value


@pytest.mark.parametrize("size", SIZES)
def test_a_job_that_says_its_size_needs_no_profile(size: dict[str, Any]) -> None:
    np.testing.assert_array_equal(read({}, image=base64_of(RGB.tobytes()), **size).pixels, RGB)
    np.testing.assert_array_equal(read({}, image=floats(RGB[:, :, ::-1]), **size).pixels, RGB)


def test_a_job_that_does_not_say_its_size_is_told_what_would_be_accepted() -> None:
    error = refusal({}, image=base64_of(RGB.tobytes()))
    assert isinstance(error, InvalidRequest)
    assert error.message == (
        "the job does not say how large its image is: needed are height and width, or h and w, or shape, "
        "or an image file (JPEG, PNG, WebP, BMP, TIFF or GIF), or a profile of the queue with fixed_shape_px"
    )


def test_the_fixed_shape_of_the_profile_stands_in_where_the_job_is_silent() -> None:
    profile = {"fixed_shape_px": [5, 7]}
    np.testing.assert_array_equal(read(profile, image=base64_of(RGB.tobytes())).pixels, RGB)
    other = RGB[:4, :2]
    pixels = read(profile, image=base64_of(other.tobytes()), height=4, width=2).pixels
    np.testing.assert_array_equal(pixels, other)
    assert refusal(profile, image=base64_of(bytes(104))).message == (
        "image has 104 bytes, but height 5 and width 7 of the queue's profile need "
        "105 (uint8 RGB) or 420 (float32 BGR), and it is not an image file"
    )


def test_a_profile_that_knows_where_the_size_stands_looks_nowhere_else() -> None:
    error = refusal({"shape_from": "h-w"}, image=base64_of(RGB.tobytes()), height=5, width=7)
    assert error.message == "h must be a whole number from 1 to 65535, got None"
    error = refusal({"shape_from": "shape"}, image=base64_of(RGB.tobytes()), height=5, width=7)
    assert error.message.startswith("shape must be [height, width], [height, width, 1 or 3] or that with a leading 1")


@pytest.mark.parametrize("shape", [7, "5x7", [], [5], [5, 7, 2], [2, 5, 7, 3], [5, 7, 3, 1], {"h": 5}])
def test_a_shape_that_is_none_is_refused(shape: Any) -> None:
    assert "shape must be [height, width]" in refusal({}, image=base64_of(RGB.tobytes()), shape=shape).message


@pytest.mark.parametrize("shape", [[5.0, 7], [5, "7"], [0, 7], [True, 7], [5, 70_000]])
def test_sides_of_a_shape_are_whole_numbers(shape: Any) -> None:
    assert "must be a whole number from 1 to 65535" in refusal({}, image=base64_of(bytes(105)), shape=shape).message


def test_the_order_of_the_channels_is_that_of_the_profile() -> None:
    size = {"height": 5, "width": 7}
    np.testing.assert_array_equal(read({"channel_order": "rgb"}, image=floats(RGB), **size).pixels, RGB)
    bgr = base64_of(np.ascontiguousarray(RGB[:, :, ::-1]).tobytes())
    pixels = read({"channel_order": "bgr"}, image=bgr, **size).pixels
    np.testing.assert_array_equal(pixels, RGB)
    assert pixels is not None
    assert pixels.flags.c_contiguous


@pytest.mark.parametrize("channels_from", [{"channels": 1}, {}])
def test_grey_becomes_three_equal_channels(channels_from: dict[str, Any]) -> None:
    grey = RGB[:, :, 0]
    shape = [5, 7] if channels_from else [5, 7, 1]
    expected = np.repeat(grey[:, :, None], 3, axis=2)
    for image in (base64_of(grey.tobytes()), floats(grey)):
        np.testing.assert_array_equal(read(channels_from, image=image, shape=shape).pixels, expected)


@pytest.mark.parametrize(
    ("dtype", "words"),
    [("uint8", "need 105 (uint8 RGB), and"), ("float32", "need 420 (float32 BGR), and")],
)
def test_a_type_that_the_profile_names_is_the_only_one(dtype: str, words: str) -> None:
    other = floats(RGB) if dtype == "uint8" else base64_of(RGB.tobytes())
    assert words in refusal({"dtype": dtype}, image=other, height=5, width=7).message


def preprocessed(mode: str) -> NDArray[np.float32]:
    """RGB as Keras' preprocess_input(mode=...) leaves it, and as a scaling to 0..1 does."""
    values = RGB.astype(np.float32)
    if mode == "caffe":
        return values[:, :, ::-1] - np.array([103.939, 116.779, 123.68], np.float32)
    if mode == "tf":
        return values / np.float32(127.5) - np.float32(1)
    if mode == "torch":
        mean, deviation = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
        return ((values / 255 - mean) / deviation).astype(np.float32)
    return values / np.float32(255)


@pytest.mark.parametrize("mode", ["caffe", "tf", "torch", "unit"])
def test_preprocessing_is_undone_to_the_very_pixels(mode: str) -> None:
    pixels = read({"preprocessing": mode}, image=floats(preprocessed(mode)), height=5, width=7).pixels
    np.testing.assert_array_equal(pixels, RGB)


@pytest.mark.parametrize("mode", ["caffe", "tf", "torch"])
def test_pixels_as_they_are_do_not_pass_as_preprocessed(mode: str) -> None:
    bright = np.full((5, 7, 3), 250, np.float32)
    error = refusal({"preprocessing": mode}, image=floats(bright), height=5, width=7)
    assert isinstance(error, InvalidImage)
    assert error.message == (
        f"image holds values from 250 to 250, which are not those of an image with the preprocessing {mode!r} "
        "of the queue's profile; known: none, caffe, tf, torch, unit"
    )


def test_preprocessed_pixels_do_not_pass_as_they_are() -> None:
    size = {"height": 5, "width": 7}
    assert "with the preprocessing 'none'" in refusal({}, image=floats(preprocessed("caffe")), **size).message
    assert "look scaled to 0..1" in refusal({}, image=floats(preprocessed("unit")), **size).message


def test_a_black_border_does_not_hide_what_is_inside() -> None:
    bright = np.full((256, 256, 3), 250, np.float32)
    bright[:, :4] = 0
    with pytest.raises(InvalidImage, match="with the preprocessing 'caffe'"):
        image_from_job(
            {"image": floats(bright), "height": 256, "width": 256},
            QueueProfile.model_validate({"preprocessing": "caffe"}),
            ImageLimits(),
        )


@pytest.mark.parametrize("level", [0.0, 1.0, 255.0, 256.5, -2.25])
def test_dark_bright_and_overshooting_pictures_pass(level: float) -> None:
    pixels = read({}, image=floats(np.full((5, 7, 3), level)), height=5, width=7).pixels
    np.testing.assert_array_equal(pixels, np.full((5, 7, 3), min(255, max(0, round(level)))))


def png() -> bytes:
    target = io.BytesIO()
    PIL.Image.fromarray(RGB).save(target, "PNG")
    return target.getvalue()


def test_a_queue_of_files_takes_nothing_else() -> None:
    image = read("encoded-file", image=base64_of(png()), height=5, width=7)
    assert image.encoded is not None
    assert image.encoded.tobytes() == png()
    error = refusal("encoded-file", image=base64_of(RGB.tobytes()), height=5, width=7)
    assert error.message.startswith("image must be a JPEG, PNG, WebP, BMP, TIFF or GIF file on this queue, got b'")


def test_a_queue_of_pixels_takes_no_files() -> None:
    error = refusal({"image": "pixels"}, image=base64_of(png()), height=5, width=7)
    assert error.message == (
        f"image has {len(png())} bytes, but height 5 and width 7 need 105 (uint8 RGB) or 420 (float32 BGR)"
    )


def test_a_file_under_a_key_of_its_own_is_held_to_the_same_limits() -> None:
    image = image_from_file(png(), "img_key", LIMITS)
    assert image.encoded is not None
    assert image.encoded.tobytes() == png()
    with pytest.raises(ServingError, match="10001 bytes, the limit is 10000"):
        image_from_file(bytes(10_001), "img_key", LIMITS)
    with pytest.raises(InvalidImage, match="the key in img_key must hold a JPEG"):
        image_from_file(b"[]", "img_key", LIMITS)


def test_a_big_tiff_is_an_image_file_as_any_other() -> None:
    buffer = io.BytesIO()
    PIL.Image.fromarray(RGB).save(buffer, "TIFF", big_tiff=True)
    np.testing.assert_array_equal(
        to_pixels(read({"image": "file"}, image=base64_of(buffer.getvalue()))), to_pixels(Image.from_pixels(RGB))
    )
    np.testing.assert_array_equal(to_pixels(image_from_file(buffer.getvalue(), "img_key", LIMITS)), RGB)
