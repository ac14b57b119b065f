"""A job is read as Python's json reads it, which all old workers use, and its image in every form of base64."""

import base64
import json
from typing import Any

import numpy as np
import pytest

from deployments.errors import InvalidImage
from deployments.text.base64_text import decoded_base64
from redis_bridge.wire.job_format import Job, Malformed, WireLimits, parse_job
from redis_bridge.wire.json_encoding import CUT_FROM_BYTES

LIMITS = WireLimits(max_job_bytes=2**20)
SMALL = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
LARGE = np.arange(40 * 50 * 3).astype(np.uint8).reshape(40, 50, 3)


def job(pixels: Any, rest: str = "") -> str:
    """The text of a job with the members `rest`, as somebody may have put it together by hand."""
    text = base64.b64encode(pixels.tobytes()).decode()
    return f'{{"id": "5e7c", "image": "{text}", "height": {pixels.shape[0]}, "width": {pixels.shape[1]}{rest}}}'


@pytest.mark.parametrize("pixels", [SMALL, LARGE], ids=["small", "large"])
@pytest.mark.parametrize(
    "rest",
    [
        ', "temperature": NaN',
        ', "temperature": Infinity, "depth": -Infinity',
        ', "nested": {"of": [1, NaN]}',
        ', "name": "\\ud800"',
        f', "number": {"9" * 400}, "other": 18446744073709551616',
        ', "height": 7, "height": %d',
        f', "nested": {"[" * 300}{"]" * 300}',
    ],
)
def test_what_the_legacy_workers_read_in_a_field_that_is_not_used_is_read(pixels: Any, rest: str) -> None:
    text = job(pixels, rest.replace("%d", str(pixels.shape[0])))
    assert json.loads(text)["id"] == "5e7c"
    assert (len(text) > CUT_FROM_BYTES) is (pixels is LARGE)
    parsed = parse_job(text.encode(), LIMITS)
    assert isinstance(parsed, Job), parsed
    assert parsed.image.pixels is not None
    np.testing.assert_array_equal(parsed.image.pixels, pixels)


@pytest.mark.parametrize("encode", [lambda text: b"\xef\xbb\xbf" + text.encode(), lambda text: text.encode("utf-16")])
def test_a_byte_order_mark_is_no_obstacle(encode: Any) -> None:
    assert isinstance(parse_job(encode(job(LARGE)), LIMITS), Job)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (
            job(SMALL).replace('"height": 2', '"height": NaN'),
            "height must be a whole number from 1 to 65535, got nan",
        ),
        ('{"id": "5e7c", "image": NaN}', "image must be base64 text, got nan"),
        (job(SMALL, ', "done_list": Infinity'), "done_list must be text"),
        (job(SMALL).replace('"', "'"), "Expecting property name enclosed in double quotes"),
        (job(SMALL, ', "place": "Åland"').encode("latin-1"), "byte 0xc5 at 87 is not utf-8; JSON is UTF-8"),
        ("[" * 100_000, "nested too deeply"),
        ('{"id": "5e7c", "x": ' + "[" * 5000 + "]" * 5000 + "}", "nested too deeply"),
        ('{"id": "5e7c", "image": ' + "[" * 950 + "]" * 950 + "}", "image must be base64 text, got"),
        (f'{{"id": "5e7c", "x": {"9" * 5000}}}', "a whole number has 5000 digits, the limit is 400"),
    ],
)
def test_what_cannot_be_read_or_counts_is_named(text: str | bytes, words: str) -> None:
    malformed = parse_job(text.encode() if isinstance(text, str) else text, LIMITS)
    assert isinstance(malformed, Malformed)
    assert words in malformed.error.message


IMAGE = bytes(range(250, 256)) * 30 + b"\xfb\xff"
PLAIN = base64.b64encode(IMAGE).decode()
SAFE = base64.urlsafe_b64encode(IMAGE).decode()


@pytest.mark.parametrize(
    "text",
    [
        PLAIN,
        PLAIN.rstrip("="),
        SAFE,
        SAFE.rstrip("="),
        base64.encodebytes(IMAGE).decode(),
        base64.encodebytes(IMAGE).decode().replace("\n", "\r\n"),
        f"  {PLAIN}\n",
        f"\t{SAFE[:50]} {SAFE[50:]}",
        f"data:image/jpeg;base64,{PLAIN}",
        f"DATA:image/png;charset=utf-8; BASE64,{SAFE.rstrip('=')}",
        f"data:;base64,\n{base64.encodebytes(IMAGE).decode()}",
    ],
)
def test_base64_is_read_in_every_form(text: str) -> None:
    assert PLAIN != SAFE
    assert PLAIN.endswith("=")
    assert decoded_base64(text) == IMAGE


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("data:image/svg+xml,%3Csvg%3E", "image is a data URI without ;base64, got 'data:image/svg+xml,%3Csvg%3E'"),
        ("data:image/png;base64,AAA.", "'.' at character 3 of the data"),
        ("AAAAA", "5 characters, one too many or some missing"),
        ("AA=A", "'=' at character 2"),
        ("/home/me/frame.png.", "'.' at character 14"),
        ("Bär!", "'ä' at character 1"),
    ],
)
def test_what_is_no_base64_is_named(text: str, words: str) -> None:
    with pytest.raises(InvalidImage) as refused:
        decoded_base64(text)
    assert words in refused.value.message


@pytest.mark.parametrize("form", [SAFE, f"data:image/png;base64,{PLAIN}", base64.encodebytes(IMAGE).decode()])
def test_a_long_image_in_another_form_is_read_too(form: str) -> None:
    pixels = LARGE.copy()
    pixels.reshape(-1)[: len(IMAGE)] = np.frombuffer(IMAGE, np.uint8)
    text = base64.b64encode(pixels.tobytes()).decode()
    if form is SAFE:
        text = text.translate(str.maketrans("+/", "-_"))
    elif form.startswith("data:"):
        text = f"data:image/png;base64,{text}"
    else:
        text = base64.encodebytes(pixels.tobytes()).decode()
    parsed = parse_job(json.dumps({"id": "a", "image": text, "height": 40, "width": 50}).encode(), LIMITS)
    assert isinstance(parsed, Job), parsed
    np.testing.assert_array_equal(parsed.image.pixels, pixels)
