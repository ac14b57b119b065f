"""The legacy wire, byte by byte: what is a job, and what is not."""

import base64
import io
import json
import tracemalloc
from typing import Any

import numpy as np
import PIL.Image
import pytest

from deployments.images import ImageLimits
from redis_bridge import keys
from redis_bridge.wire.image_field import image_from_job
from redis_bridge.wire.job_format import Job, Malformed, WireLimits, parse_job
from redis_bridge.wire.pixels import rgb_from_bgr
from redis_bridge.wire.profiles import CVISIONAI

LIMITS = WireLimits(max_job_bytes=2**20, image=ImageLimits(max_encoded_bytes=10_000, max_pixels=5_000))
RGB = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)


def base64_of(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def float_bgr(rgb: Any) -> str:
    """As the legacy web server writes it: float32 BGR with a batch axis, C order."""
    bgr = np.ascontiguousarray(np.asarray(rgb, np.float32)[None, :, :, ::-1])
    return base64_of(bgr.tobytes())


def job_text(**fields: Any) -> bytes:
    job = {"id": "5e7c", "image": float_bgr(RGB), "height": 2, "width": 3, **fields}
    return json.dumps({name: value for name, value in job.items() if value is not ...}).encode()


def parsed(text: bytes) -> Job:
    job = parse_job(text, LIMITS, {"image_queue_yolov5"})
    assert isinstance(job, Job), job
    return job


def refused(text: bytes) -> Malformed:
    malformed = parse_job(text, LIMITS, {"image_queue_yolov5"})
    assert isinstance(malformed, Malformed)
    return malformed


def file_bytes(format_name: str) -> bytes:
    target = io.BytesIO()
    PIL.Image.fromarray(RGB).save(target, format_name)
    return target.getvalue()


def test_float_bgr_becomes_the_same_image_in_rgb() -> None:
    job = parsed(job_text())
    assert job.job_id == "5e7c"
    assert job.image.pixels is not None
    assert job.image.pixels.flags.c_contiguous
    np.testing.assert_array_equal(job.image.pixels, RGB)


def test_uint8_rgb_is_told_by_its_length() -> None:
    pixels = parsed(job_text(image=base64_of(RGB.tobytes()))).image.pixels
    assert pixels is not None
    np.testing.assert_array_equal(pixels, RGB)


def test_raw_pixels_that_begin_like_a_file_stay_pixels() -> None:
    rgb = RGB.copy()
    rgb[0, 0] = (0xFF, 0xD8, 0xFF)
    pixels = parsed(job_text(image=base64_of(rgb.tobytes()))).image.pixels
    assert pixels is not None
    np.testing.assert_array_equal(pixels, rgb)


@pytest.mark.parametrize("format_name", ["JPEG", "PNG", "BMP", "GIF", "WEBP", "TIFF"])
@pytest.mark.parametrize("sides", [(..., ...), (2, 3), ("?", -1)])
def test_an_image_file_is_told_by_its_first_bytes(format_name: str, sides: tuple[Any, Any]) -> None:
    content = file_bytes(format_name)
    image = parsed(job_text(image=base64_of(content), height=sides[0], width=sides[1])).image
    assert image.encoded is not None
    assert image.encoded.tobytes() == content


def test_floats_are_rounded_half_to_even_and_clipped() -> None:
    values = np.array([[[-7.0, 0.49, 0.5]], [[1.5, 254.6, 1e30]]], np.float32)
    np.testing.assert_array_equal(rgb_from_bgr(values), [[[0, 0, 0]], [[255, 255, 2]]])


def test_an_image_larger_than_one_block_is_converted_whole() -> None:
    rgb = np.random.default_rng(7).integers(0, 256, (613, 401, 3), dtype=np.uint8)
    bgr = np.ascontiguousarray(rgb[:, :, ::-1], np.float32)
    np.testing.assert_array_equal(rgb_from_bgr(bgr), rgb)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_values_that_are_no_numbers_are_refused(value: float) -> None:
    rgb = RGB.astype(np.float32)
    rgb[1, 2, 0] = value
    malformed = refused(job_text(image=float_bgr(rgb)))
    assert malformed.job_id == "5e7c"
    assert "finite" in malformed.error.message


def test_a_large_image_is_not_copied_more_often_than_needed() -> None:
    rgb = np.random.default_rng(3).integers(0, 256, (700, 900, 3), dtype=np.uint8)
    text = float_bgr(rgb)
    tracemalloc.start()
    try:
        image = image_from_job({"image": text, "height": 700, "width": 900}, CVISIONAI, ImageLimits())
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert image.nbytes == rgb.nbytes
    # The float32 pixels are 3/4 of the text and the image is 3/16; one more copy of either would show.
    assert peak_bytes < (3 / 4 + 3 / 16 + 0.15) * len(text)


def test_base64_with_line_breaks_is_read() -> None:
    broken = base64.encodebytes(RGB.tobytes() * 1).decode()
    assert "\n" in broken
    assert parsed(job_text(image=broken)).image.pixels is not None


def test_unknown_fields_are_ignored() -> None:
    assert parsed(job_text(prompts={"points": [[1, 2]]}, metadata=None)).job_id == "5e7c"


@pytest.mark.parametrize(
    ("fields", "code", "words"),
    [
        ({"height": "2"}, "invalid-request", "height must be a whole number from 1 to 65535, got '2'"),
        ({"height": True}, "invalid-request", "height must be a whole number from 1 to 65535, got True"),
        ({"height": 2.0}, "invalid-request", "height must be a whole number from 1 to 65535, got 2.0"),
        ({"width": -3}, "invalid-request", "width must be a whole number from 1 to 65535, got -3"),
        ({"width": 0}, "invalid-request", "width must be a whole number"),
        ({"width": None}, "invalid-request", "width must be a whole number"),
        ({"width": ...}, "invalid-request", "width must be a whole number"),
        ({"width": 10**30}, "invalid-request", "width must be a whole number"),
        ({"width": [3]}, "invalid-request", "width must be a whole number"),
        ({"width": "9" * 10_000}, "invalid-request", "..."),
        ({"height": 65535, "width": 65535}, "invalid-image", "image has 72 bytes, but height 65535"),
        ({"height": 3, "width": 3}, "invalid-image", "need 27 (uint8 RGB) or 108 (float32 BGR)"),
        ({"image": ...}, "invalid-request", "image must be base64 text, got None"),
        ({"image": ""}, "invalid-request", "image must be base64 text, got ''"),
        ({"image": 7}, "invalid-request", "image must be base64 text, got 7"),
        ({"image": ["AAAA"]}, "invalid-request", "image must be base64 text"),
        ({"image": "é" * 24}, "invalid-image", "base64"),
        ({"image": "!" * 24}, "invalid-image", "base64"),
        ({"image": "A=AA" + "AAAA" * 5}, "invalid-image", "base64"),
        ({"image": base64_of(bytes(75 * 75 * 3)), "height": 75, "width": 75}, "image-too-large", "5000"),
        ({"image": base64_of(b"\xff\xd8\xff" + bytes(10_000))}, "image-too-large", "10000"),
    ],
)
def test_a_malformed_job_is_told_field_limit_and_value_under_its_id(
    fields: dict[str, Any], code: str, words: str
) -> None:
    malformed = refused(job_text(**fields))
    assert (malformed.job_id, malformed.error.code) == ("5e7c", code)
    assert words in malformed.error.message
    assert len(malformed.error.message) < 300


@pytest.mark.parametrize(
    "job_id",
    [
        ...,
        None,
        "",
        7,
        True,
        ["a"],
        {"a": 1},
        "x" * 257,
        "line\nbreak",
        "nul\0",
        "image_queue_yolov5",
        keys.BRIDGES,
        keys.heartbeat("0123456789ab"),
        keys.DEAD_LETTERS,
        "image_queue_yolov5:inflight:0123456789ab:1",
    ],
)
def test_an_id_that_is_none_or_names_a_key_of_the_system_is_never_written_to(job_id: Any) -> None:
    malformed = refused(job_text(id=job_id))
    assert malformed.job_id is None
    assert malformed.error.message.startswith("id must")


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"null",
        b"[]",
        b"7",
        b'"text"',
        b"\xff\xfe",
        b'{"id": "5e7c"',
        b'{"id": "5e7c", "image": "\xff"}',
        b'{"id": "5e7c", "image": NaN}',
        b'{"id": "5e7c", "image": "AA',
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"id": "\\ud800"}',
        b"\x80\x03}q\x00.",
    ],
)
def test_what_is_no_json_object_is_refused(text: bytes) -> None:
    assert refused(text).error.code == "invalid-request"


def test_a_job_that_cannot_be_read_is_answered_when_its_id_stands_at_the_front() -> None:
    assert refused(b'{"id": "5e7c", "image": "AA').job_id == "5e7c"
    assert refused(b' { "id" :"5e7c","image": "\xff"}').job_id == "5e7c"
    assert refused(b'{"id": "fathomnet:bridges", "image": "AA').job_id is None
    assert refused(b'{"image": "AA", "id": "5e7c').job_id is None


def test_a_job_text_over_the_limit_is_refused_unread_but_answered() -> None:
    malformed = refused(job_text(image="A" * 2**20))
    assert (malformed.job_id, malformed.error.code) == ("5e7c", "image-too-large")
    assert str(2**20) in malformed.error.message


def test_random_damage_never_raises() -> None:
    random = np.random.default_rng(11)
    text = job_text()
    for _ in range(500):
        damaged = bytearray(text[: random.integers(1, len(text) + 1)])
        for place in random.integers(0, len(damaged), 3):
            damaged[place] = random.integers(0, 256)
        assert isinstance(parse_job(bytes(damaged), LIMITS), Job | Malformed)
