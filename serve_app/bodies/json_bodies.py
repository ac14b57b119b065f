"""What every face does with a body of JSON: reads it within bounds, and image files out of its texts."""

import asyncio
from collections.abc import Callable
from typing import Any, TypeVar

import orjson

from deployments.byte_budget import HeldBytes
from deployments.errors import InvalidImage, InvalidRequest
from deployments.process.json_size import has_more_values
from deployments.text.base64_text import decoded_base64
from serve_app.bodies.option_values import shown

MAX_VALUES = 65_536
"""Commas and opening brackets of a body: room for a threshold for each class of a large model."""

_IN_THREAD_FROM_BYTES = 2**20
"""A body of this size is read in a thread: 64 MiB take some 100 ms."""

_ADDRESSES = ("http://", "https://")
_WIDEST_CHARACTER_BYTES = 4

T = TypeVar("T")


async def read_bounded(read: Callable[[bytes], T], body: bytes, held: HeldBytes) -> T:
    """What `read` makes of a body of JSON or base64, in a thread where it is large. Takes what reading adds to it.
    Raises what `HeldBytes.grow` and `read` raise."""
    if len(body) < _IN_THREAD_FROM_BYTES:
        held.grow(needed_bytes(body))
        return read(body)
    # Not in the thread, which may go on when the request is over and its bytes are given back.
    held.grow(await asyncio.to_thread(needed_bytes, body))
    return await asyncio.to_thread(read, body)


def needed_bytes(body: bytes) -> int:
    """What reading adds to the body: its texts, a copy of them while base64 is decoded, and the files."""
    # One character that is not ASCII makes all others of its text as wide.
    is_narrow = body.isascii() and b"\\u" not in body
    text_bytes = len(body) * (1 if is_narrow else _WIDEST_CHARACTER_BYTES)
    return 2 * text_bytes + len(body) * 3 // 4


def json_object(body: bytes, example: str = "", most_values: int = MAX_VALUES) -> dict[str, Any]:
    """The members of a body that is one JSON object. example: one that is right, for messages. Raises
    InvalidRequest."""
    if has_more_values(body, most_values):
        raise InvalidRequest(f"the JSON has more than {most_values} commas and opening brackets, which is the limit")
    try:
        members = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InvalidRequest(f"the body is not JSON: {error}") from None
    if not isinstance(members, dict):
        raise InvalidRequest(f"the body must be a JSON object{f' such as {example}' if example else ''}")
    return members


def file_in(text: Any, where: str) -> bytes:
    """The image file in a text, base64 or a data URI. where: the member that holds it. Raises InvalidRequest and
    InvalidImage."""
    if not isinstance(text, str):
        raise InvalidRequest(f"{where} must be text, base64 or a data URI, got {shown(text)}")
    if text[:10].lstrip().lower().startswith(_ADDRESSES):
        raise InvalidRequest(f"{where} is an address, and this server fetches nothing; send the file as base64")
    content = decoded_base64(text, where)
    if not content:
        raise InvalidImage(f"{where} is empty")
    return content
