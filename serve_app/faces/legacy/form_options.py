"""The form of the legacy predict endpoint: its fields, and how image and options are read from it."""

import re
from collections.abc import Mapping
from typing import Any, Literal

import orjson
from pydantic import ValidationError

from deployments.definition import Tiling
from deployments.errors import InvalidImage, InvalidRequest
from deployments.request import MAX_DETECTIONS_LIMIT, SHOWN_CHARACTERS, Image, Options
from serve_app.forms import FILE, Accepted, Form

_FIELDS: dict[str, dict[str, Any]] = {
    "model_type": {"type": "string", "description": "name of a model or of a queue"},
    "score_threshold": {
        "oneOf": [
            {"type": "number", "minimum": 0, "maximum": 1},
            {"type": "string", "description": "JSON: numbers by label, '*' for all other labels"},
        ]
    },
    "iou_threshold": {"type": "number", "minimum": 0, "maximum": 1},
    "max_detections": {"type": "integer", "minimum": 1, "maximum": MAX_DETECTIONS_LIMIT},
    "classes": {"type": "string", "description": "labels to keep, separated by commas"},
    "tiling": {"type": "string", "description": "'on', 'off' or WIDTHxHEIGHT in pixels"},
    "tiling_overlap": {"type": "number", "minimum": 0, "maximum": 0.8},
}
"""Every field beside the image, as the OpenAPI document shows it."""

FORM = Accepted(frozenset(_FIELDS))
OPTIONS = tuple(field for field in _FIELDS if field != "model_type")
"""The fields that are inputs of a model's postprocessing."""

QUERY_ALIASES = {"path": "model_type"}
"""The legacy server of 2022 called it `path`; it was the name of a queue there, too."""

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)
_LONGEST_NUMBER = 50
_SIZE = re.compile(r"(\d{1,5})\s*[xX]\s*(\d{1,5})", re.ASCII)


def described_form(
    fields: Mapping[str, Mapping[str, Any]] = _FIELDS, required: tuple[str, ...] = ()
) -> dict[str, Any]:
    """What the OpenAPI document says of a form with a file and these fields."""
    properties = {FILE: {"type": "string", "format": "binary"}, **fields}
    schema = {"type": "object", "required": [FILE, *required], "properties": properties}
    return {"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": schema}}}}


def image_of(form: Form) -> Image:
    """The uploaded file. Raises InvalidRequest and InvalidImage."""
    content = form.files.get(FILE)
    if content is None:
        sent = ", ".join(sorted(form.fields))[:200]
        raise InvalidRequest(f"the form has no file part named 'file'; it has: {sent or 'nothing'}")
    if len(content) == 0:
        raise InvalidImage("the part 'file' is empty")
    return Image.from_encoded(content)


def options_of(fields: dict[str, str]) -> Options:
    """What the form says beside model and image. Raises InvalidRequest."""
    classes = tuple(label.strip() for label in fields.get("classes", "").split(",") if label.strip())
    return Options(
        score_threshold=_score_threshold(fields),
        iou_threshold=_number(fields, "iou_threshold"),
        max_detections=_whole_number(fields, "max_detections"),
        classes=classes or None,
        tiling=tiling_of(fields),
    )


def tiling_of(fields: Mapping[str, str]) -> Tiling | Literal["off"] | None:
    """What the fields ask for: `tiling` is `on`, `off` or the size of a tile in pixels, `tiling_overlap` a part of a
    tile. None where they do not say, so that the model's own knob counts.

    Raises InvalidRequest that names the field, the limit and the value.
    """
    said = fields.get("tiling", "").strip().lower()
    overlap = fields.get("tiling_overlap", "").strip()
    if said in ("", "off"):
        if overlap:
            raise InvalidRequest("tiling_overlap has no effect without tiling, which must be 'on' or a size then")
        return "off" if said else None
    given: dict[str, Any] = {"overlap": overlap} if overlap else {}
    if said != "on":
        size = _SIZE.fullmatch(said)
        if size is None:
            raise InvalidRequest(f"tiling must be 'on', 'off' or WIDTHxHEIGHT in pixels, got {said[:50]!r}")
        given |= {"tile_width_px": size[1], "tile_height_px": size[2]}
    try:
        return Tiling.model_validate(given)
    except ValidationError as error:
        [first, *_] = error.errors(include_url=False)
        field = "tiling_overlap" if first["loc"] == ("overlap",) else f"tiling: {first['loc'][0]}"
        raise InvalidRequest(f"{field}: {first['msg']}, got {str(first['input'])[:50]!r}") from None


def _score_threshold(fields: dict[str, str]) -> float | dict[str, float] | None:
    text = fields.get("score_threshold", "").strip()
    if not text.startswith("{"):
        return _number(fields, "score_threshold")
    try:
        found: dict[str, Any] = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise InvalidRequest(
            f'score_threshold must be a number or JSON such as {{"crab": 0.5, "*": 0.2}}: {error}, got {text[:50]!r}'
        ) from None
    for label, value in found.items():
        if isinstance(value, bool) or not isinstance(value, int | float):
            shown = label[:SHOWN_CHARACTERS]
            raise InvalidRequest(f"score_threshold of {shown!r} must be a number, got {str(value)[:50]!r}")
    return found


def _number(fields: dict[str, str], name: str) -> float | None:
    text = fields.get(name, "").strip()
    if not text:
        return None
    # Python itself also reads infinities, underscores and the digits of all scripts.
    if len(text) > _LONGEST_NUMBER or not _NUMBER.fullmatch(text):
        raise InvalidRequest(f"{name} must be a number such as 0.5, got {text[:50]!r}")
    return float(text)


def _whole_number(fields: dict[str, str], name: str) -> int | None:
    number = _number(fields, name)
    if number is None:
        return None
    if not number.is_integer():
        raise InvalidRequest(f"{name} must be a whole number, got {fields[name].strip()[:50]!r}")
    return int(number)
