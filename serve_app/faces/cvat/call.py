"""The JSON of a call of a function: `{"image": "<base64>", "threshold": 0.5}`. Pure."""

from dataclasses import dataclass
from typing import Any

from deployments.errors import InvalidImage, InvalidRequest
from deployments.text.base64_text import decoded_base64
from deployments.text.nearest_name import nearest_of
from serve_app.bodies.json_bodies import json_object
from serve_app.bodies.option_values import shown

MAX_VALUES = 64
"""Commas and opening brackets of a body. CVAT sends two members, and the image is one text."""

MEMBERS = frozenset({"image", "threshold"})


@dataclass(frozen=True, slots=True)
class Call:
    """image: the file.  threshold: 0 to 1, below which nothing is wanted; None for the model's own."""

    image: bytes
    threshold: float | None = None


def read_call(body: bytes) -> Call:
    """Raises InvalidRequest and InvalidImage, which name the member."""
    members = json_object(body, '{"image": "<base64>"}', MAX_VALUES)
    for name in members:
        if name not in MEMBERS:
            raise InvalidRequest(f"unknown member {name[:100]!r} for a detector; {nearest_of(name, MEMBERS)}")
    return Call(_image(members), _threshold(members.get("threshold")))


def _image(members: dict[str, Any]) -> bytes:
    text = members.get("image")
    if not isinstance(text, str):
        got = "nothing" if text is None else shown(text)
        raise InvalidRequest(f"image must be the image file as base64, got {got}")
    content = decoded_base64(text)
    if not content:
        raise InvalidImage("image is empty")
    return content


def _threshold(value: Any) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise InvalidRequest(f"threshold must be a number between 0 and 1, got {shown(value)}")
    return float(value)
