"""The fields of a job's text, without making a second text of its picture. Pure; knows no field but `image`.

Reading a text of 15 MB as JSON costs 10 ms, nearly all of it for the picture, which is then decoded from base64 in
half a millisecond. So the picture is cut out first, and what is left of the text is read as JSON.
"""

import binascii
import json
import re
import secrets
from typing import Any, NamedTuple

import orjson
import pybase64

Payload = bytes | memoryview
"""A job before decoding; a view of bytes where it is large."""

CUT_FROM_BYTES = 4096
"""Shorter texts are read as they are."""

_IMAGE = re.compile(rb'"image"\s*:\s*"')
_QUOTE = re.compile(rb'"')
_TAIL_BYTES = 1024
_PLACEHOLDER = secrets.token_hex(8)
"""No job can hold it by design of its writer."""


def fields_of(payload: Payload) -> Any:
    """The JSON value in `payload`; in an object with a long `image` of plain base64 that is `bytes`, decoded already.

    The result is the same as if the whole text were read first: between two quotes without a quote or a backslash
    anything can be exchanged for anything, and the value counts only if it turns out to be the object's `image`.
    Raises NoJson.
    """
    found = _IMAGE.search(payload) if len(payload) >= CUT_FROM_BYTES else None
    cut = _cut(payload, found.end()) if found is not None else None
    if cut is not None:
        fields = _read_rest(b"".join((payload[: cut.start], _PLACEHOLDER.encode(), payload[cut.end :])))
        if isinstance(fields, dict) and fields.get("image") == _PLACEHOLDER:
            return {**fields, "image": cut.picture}
    return read_json(payload)


class NoJson(ValueError):
    """The text cannot be read as JSON; the message says why and where."""


def read_json(text: Payload) -> Any:
    """The value in `text`, as Python's own reader understands it, which all old workers use: NaN and Infinity, lone
    surrogates, large integers, a byte order mark and UTF-16 are read. Raises NoJson.

    The quick reader knows none of these, so a text that it refuses is read once more.
    """
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        pass
    try:
        return json.loads(bytes(text))
    except UnicodeDecodeError as error:
        raise NoJson(
            f"byte {error.object[error.start]:#04x} at {error.start} is not {error.encoding}; JSON is UTF-8"
        ) from None
    except RecursionError:
        raise NoJson("it is nested too deeply") from None
    except ValueError as error:
        raise NoJson(str(error)) from None


class _Cut(NamedTuple):
    """The picture, and where its text stands between two quotes."""

    picture: bytes
    start: int
    end: int


def _cut(payload: Payload, start: int) -> _Cut | None:
    """The picture whose text begins at `start`; None where that is short, or no base64 without line breaks."""
    # The first quote is meant. One near the end is tried before all is searched: most producers write little after
    # the picture, and with a quote within what is taken for it, it is no base64.
    for search_from in dict.fromkeys((max(start, len(payload) - _TAIL_BYTES), start)):
        quote = _QUOTE.search(payload, search_from)
        if quote is None or quote.start() - start < CUT_FROM_BYTES // 2:
            continue
        try:
            picture = pybase64.b64decode(memoryview(payload)[start : quote.start()], validate=True)
        except (binascii.Error, ValueError):
            continue
        return _Cut(picture, start, quote.start())
    return None


def _read_rest(text: bytes) -> Any:
    try:
        return read_json(text)
    except NoJson:
        return None
