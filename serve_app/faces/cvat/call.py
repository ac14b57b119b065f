"""The JSON of a call of a function: `{"image": "<base64>", "threshold": 0.5}`. Pure."""

from dataclasses import dataclass
from typing import Any

import orjson

from deployments.errors import InvalidImage, InvalidRequest
from deployments.process.json_size import has_more_values
from deployments.text.base64_text import decoded_base64
from deployments.text.nearest_name import nearest_of

MAX_VALUES = 64
"""Commas and opening brackets of a body. CVAT sends two members, and the image is one text."""

MEMBERS = frozenset({"image", "threshold"})


@dataclass(frozen=True, slots=True)
class Call:
    """image: the file.  threshold: 0 to 1, below which nothing is wanted; None for the model's own."""

    image: bytes
    threshold: float | None = None


def needed_bytes(body: bytes) -> int:
    """What reading adds to the body: the text of the image, a copy while its base64 is decoded, and the file."""
    # CVAT writes plain ASCII. One character beyond it would make each of a text four times as wide.
    widest = 1 if body.isascii() and b"\\u" not in body else 4
    return 2 * widest * len(body) + len(body) * 3 // 4


def read_call(body: bytes) -> Call:
    """Raises InvalidRequest and InvalidImage, which name the member."""
    if has_more_values(body, MAX_VALUES):
        raise InvalidRequest(f"the JSON has more than {MAX_VALUES} commas and opening brackets, which is the limit")
    try:
        members = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise InvalidRequest(f"the body is not JSON: {error}") from None
    if not isinstance(members, dict):
        raise InvalidRequest('the body must be a JSON object such as {"image": "<base64>"}')
    for name in members:
        if name not in MEMBERS:
            raise InvalidRequest(f"unknown member {name[:100]!r} for a detector; {nearest_of(name, MEMBERS)}")
    return Call(_image(members), _threshold(members.get("threshold")))


def _image(members: dict[str, Any]) -> bytes:
    text = members.get("image")
    if not isinstance(text, str):
        got = "nothing" if text is None else repr(str(text)[:50])
        raise InvalidRequest(f"image must be the image file as base64, got {got}")
    content = decoded_base64(text)
    if not content:
        raise InvalidImage("image is empty")
    return content


def _threshold(value: Any) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise InvalidRequest(f"threshold must be a number between 0 and 1, got {str(value)[:50]!r}")
    return float(value)
