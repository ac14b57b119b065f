"""What the OpenAPI document says of the fastapi-yolov5 face."""

from typing import Any

from serve_app.bodies.forms import FILE
from serve_app.faces.fastapi_yolov5.predict import THRESHOLD
from serve_app.http.openapi_parts import Described, answers, problems, query_parameters, ref

Schema = dict[str, Any]

_NUMBERS = {name: {"type": "number"} for name in ("x", "y", "width", "height", "confidence")}
_FIELDS: dict[str, Schema] = {THRESHOLD: {"type": "number", "minimum": 0, "maximum": 1}}

SCHEMAS: dict[str, Schema] = {
    "YoloRow": {
        "type": "object",
        "required": ["class_id", "class_name", *_NUMBERS],
        "properties": {"class_id": {"type": "integer"}, "class_name": {"type": "string"}, **_NUMBERS},
        "description": "x and y are the upper left corner, in pixels of the image",
    }
}

_ROWS = answers("A list of what was found, best first", {"type": "array", "items": ref("YoloRow")})
_PICTURE = answers("The image with what was found", {"type": "string", "format": "binary"}, "image/png")
_OK: Schema = {"type": "object", "required": ["message"], "properties": {"message": {"const": "OK"}}}

ROWS: Described = {200: _ROWS, **problems(404, 408, 413, 415, 422)}
PICTURE: Described = {200: _PICTURE, **problems(404, 408, 413, 415, 422)}
HEALTH: Described = {200: answers("The model can answer, also by being woken", _OK), **problems(404, 422, 503)}

_FORM = {
    "type": "object",
    "required": [FILE],
    "properties": {FILE: {"type": "string", "format": "binary"}, **_FIELDS},
    "additionalProperties": False,
}


def parameters(path: str) -> list[Schema]:
    """Those of the path."""
    if "{model}" not in path:
        return []
    said = "A model's name, or a queue that it answers for"
    schema = {"type": "string", "minLength": 1}
    return [{"name": "model", "in": "path", "required": True, "schema": schema, "description": said}]


def upload(path: str) -> Schema:
    """Parameters and body of a route that takes an image."""
    return {
        "parameters": [*parameters(path), *query_parameters(_FIELDS, _FIELDS)],
        "requestBody": {"required": True, "content": {"multipart/form-data": {"schema": _FORM}}},
    }
