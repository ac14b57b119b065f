"""Jobs and answers in JSON, the encoding of every legacy client. Pure.

Reading 15 MB as JSON takes 10 ms, nearly all of it for the image, which is then decoded from base64 in half a
millisecond. So the image is cut out first, and only the rest of the payload is read as JSON.
"""

import binascii
import json
import re
import secrets
from functools import lru_cache
from typing import Any, NamedTuple

import orjson
import pybase64

from deployments.process.json_size import has_more_values
from redis_bridge.wire.encoding_contract import FRONT_BYTES, Encoding, Payload, Unreadable

CUT_FROM_BYTES = 4096
"""Shorter payloads are read as they are."""

MAX_VALUES = 262_144
"""Commas and opening brackets of one text."""

MAX_DIGITS = 400
"""Of a whole number. Reading one takes time by the square of its digits."""

_ID_AT_THE_FRONT = re.compile(rb'\s*\{\s*"id"\s*:\s*"([^"\\\x00-\x1f]{1,256})"')
_QUOTE = re.compile(rb'"')
_TAIL_BYTES = 1024
_PLACEHOLDER = secrets.token_hex(8)
"""Random for each process, so that no client can write it into a job on purpose."""


def fields_of(payload: Payload, image_field: str) -> Any:
    """The JSON value in `payload`, as `Encoding.read` says: in an object whose `image_field` is long and plain
    base64, that is `bytes`, decoded already.

    The result is the same as if the whole payload were read first: between two quotes without a quote or a backslash
    anything can be exchanged for anything, and the value counts only if it turns out to be the object's image.
    """
    found = _image_start(image_field).search(payload) if len(payload) >= CUT_FROM_BYTES else None
    cut = _cut(payload, found.end()) if found is not None else None
    if cut is not None:
        fields = _read_rest(b"".join((payload[: cut.start], _PLACEHOLDER.encode(), payload[cut.end :])))
        if isinstance(fields, dict) and fields.get(image_field) == _PLACEHOLDER:
            return {**fields, image_field: cut.image}
    return read_json(payload)


@lru_cache
def _image_start(image_field: str) -> re.Pattern[bytes]:
    return re.compile(re.escape(json.dumps(image_field).encode()) + rb'\s*:\s*"')


def id_at_the_front(payload: Payload) -> str | None:
    """The id, as `Encoding.id_at_the_front` says."""
    found = _ID_AT_THE_FRONT.match(payload, 0, FRONT_BYTES)
    try:
        return found[1].decode() if found else None
    except UnicodeDecodeError:
        return None


def read_json(text: Payload) -> Any:
    """The value in `text`, as Python's own reader understands it, which all old workers use: NaN and Infinity, lone
    surrogates, large integers, a byte order mark and UTF-16 are read. Raises Unreadable, also for a text with more
    than MAX_VALUES or MAX_DIGITS.

    The fast reader refuses all of these, so a text that it refuses is read once more.
    """
    if has_more_values(text, MAX_VALUES):
        raise Unreadable(f"it has more than {MAX_VALUES} commas and opening brackets, which is the limit")
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        pass
    try:
        return json.loads(bytes(text), parse_int=_whole_number)
    except UnicodeDecodeError as error:
        raise Unreadable(
            f"byte {error.object[error.start]:#04x} at {error.start} is not {error.encoding}; JSON is UTF-8"
        ) from None
    except RecursionError:
        raise Unreadable("it is nested too deeply") from None
    except ValueError as error:
        raise Unreadable(str(error)) from None


def _whole_number(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        raise Unreadable(f"a whole number has {len(digits)} digits, the limit is {MAX_DIGITS}")
    return int(digits)


class _Cut(NamedTuple):
    """The image, and where its base64 stands between two quotes."""

    image: bytes
    start: int
    end: int


def _cut(payload: Payload, start: int) -> _Cut | None:
    """The image whose base64 begins at `start`; None where that is short, or is not plain base64."""
    # The first quote ends it. One near the end is tried before everything is searched, as most clients write little
    # after the image; were there a quote in between, what is cut out would not be base64.
    for search_from in dict.fromkeys((max(start, len(payload) - _TAIL_BYTES), start)):
        quote = _QUOTE.search(payload, search_from)
        if quote is None or quote.start() - start < CUT_FROM_BYTES // 2:
            continue
        try:
            image = pybase64.b64decode(memoryview(payload)[start : quote.start()], validate=True)
        except (binascii.Error, ValueError):
            continue
        return _Cut(image, start, quote.start())
    return None


def _read_rest(text: bytes) -> Any:
    try:
        return read_json(text)
    except Unreadable:
        return None


JSON = Encoding(
    title="JSON",
    job_type="a JSON object",
    image_type="base64 text",
    read=fields_of,
    write=orjson.dumps,
    id_at_the_front=id_at_the_front,
)
