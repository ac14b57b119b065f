"""Images and options of a JSON body: `{"image": X}` or `{"images": [X, ...]}`, where X is base64, a data URI or an
address."""

import re
from collections.abc import Sequence
from typing import Any

from deployments.errors import InvalidRequest
from serve_app.bodies.json_bodies import file_in, json_object
from serve_app.bodies.option_values import shown
from serve_app.faces.v1 import options

_MEMBERS = frozenset({"image", "images"})
_ADDRESS = re.compile(r"\s*[a-z][a-z0-9+.-]{0,20}://", re.IGNORECASE)


def read_json(body: bytes, most_images: int) -> tuple[list[bytes | str], options.Given]:
    """The image files, or the addresses of some, and the options. Raises InvalidRequest and InvalidImage."""
    members = json_object(body, '{"image": "<base64>"}')
    for name in members:
        if name not in _MEMBERS and name not in options.NAMES:
            raise options.unknown("member", name, _MEMBERS | options.NAMES)
    images = [_file_or_address(text, where) for where, text in _texts(members, most_images)]
    return images, options.from_json({name: value for name, value in members.items() if name not in _MEMBERS})


def _texts(members: dict[str, Any], most_images: int) -> Sequence[tuple[str, Any]]:
    if ("image" in members) == ("images" in members):
        raise InvalidRequest("the JSON must have either image or images")
    if "image" in members:
        return [("image", members["image"])]
    images = members["images"]
    if not isinstance(images, list) or not 1 <= len(images) <= most_images:
        what = f"{len(images)} of them" if isinstance(images, list) else shown(images)
        raise InvalidRequest(f"images must be a list of 1 to {most_images} images, got {what}")
    return [(f"images[{index}]", text) for index, text in enumerate(images)]


def _file_or_address(text: Any, where: str) -> bytes | str:
    if isinstance(text, str) and _ADDRESS.match(text, 0, 100):
        return text.strip()
    return file_in(text, where)
