"""Images and options of a JSON body: `{"image": X}` or `{"images": [X, ...]}`, where X is base64 or a data URI."""

from collections.abc import Sequence
from typing import Any

import orjson

from deployments.base64_text import decoded_base64
from deployments.errors import InvalidImage, InvalidRequest
from deployments.process.json_size import has_more_values
from serve_app.faces.v1 import options

MAX_VALUES = 65_536
"""Commas and opening brackets of a body: room for a threshold for each class of a large model."""

_MEMBERS = frozenset({"image", "images"})
_ADDRESSES = ("http://", "https://")
_WIDEST_CHARACTER_BYTES = 4


def needed_bytes(body: bytes) -> int:
    """What reading adds to the body: its texts, a copy of them while base64 is decoded, and the files."""
    # One character that is not ASCII makes all others of its text as wide.
    is_narrow = body.isascii() and b"\\u" not in body
    text_bytes = len(body) * (1 if is_narrow else _WIDEST_CHARACTER_BYTES)
    return 2 * text_bytes + len(body) * 3 // 4


def read_json(body: bytes, most_images: int) -> tuple[list[bytes], options.Given]:
    """The image files and the options. Raises InvalidRequest and InvalidImage."""
    if has_more_values(body, MAX_VALUES):
        raise InvalidRequest(f"the JSON has more than {MAX_VALUES} commas and opening brackets, which is the limit")
    try:
        members = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InvalidRequest(f"the body is not JSON: {error}") from None
    if not isinstance(members, dict):
        raise InvalidRequest('the body must be a JSON object such as {"image": "<base64>"}')
    for name in members:
        if name not in _MEMBERS and name not in options.NAMES:
            raise options.unknown("member", name, _MEMBERS | options.NAMES)
    images = [_file_in(text, where) for where, text in _texts(members, most_images)]
    return images, options.from_json({name: value for name, value in members.items() if name not in _MEMBERS})


def _texts(members: dict[str, Any], most_images: int) -> Sequence[tuple[str, Any]]:
    if ("image" in members) == ("images" in members):
        raise InvalidRequest("the JSON must have either image or images")
    if "image" in members:
        return [("image", members["image"])]
    images = members["images"]
    if not isinstance(images, list) or not 1 <= len(images) <= most_images:
        what = f"{len(images)} of them" if isinstance(images, list) else repr(str(images)[:50])
        raise InvalidRequest(f"images must be a list of 1 to {most_images} images, got {what}")
    return [(f"images[{index}]", text) for index, text in enumerate(images)]


def _file_in(text: Any, where: str) -> bytes:
    if not isinstance(text, str):
        raise InvalidRequest(f"{where} must be text, base64 or a data URI, got {str(text)[:50]!r}")
    if text[:10].lstrip().lower().startswith(_ADDRESSES):
        raise InvalidRequest(f"{where} is an address, and this server fetches nothing; send the file as base64")
    content = decoded_base64(text, where)
    if not content:
        raise InvalidImage(f"{where} is empty")
    return content
