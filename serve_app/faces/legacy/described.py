"""What the OpenAPI document says of the answers on the legacy routes."""

from collections.abc import Mapping
from typing import Any

from serve_app.http.openapi_parts import Described, answers, problems, ref

Schema = dict[str, Any]

_NUMBER: Schema = {"type": "number"}
_ANY: Schema = {"description": "Of an external worker: what it answered, any JSON"}
_LENGTH: Schema = {"type": "integer", "minimum": 1}


def _object(required: list[str], **properties: Schema) -> Schema:
    return {"type": "object", "required": required, "properties": properties}


def _list_of(items: Mapping[str, Any]) -> Schema:
    return {"type": "array", "items": items}


_ROWS = [
    _list_of(
        _object(
            ["category_id", "scores", "bbox"],
            category_id={"type": "string"},
            scores=_list_of(_NUMBER),
            bbox={**_list_of(_NUMBER), "minItems": 4, "maxItems": 4, "description": "x1, y1, x2, y2 in pixels"},
        )
    ),
    _list_of({**_object(["scores"], scores=_list_of(_NUMBER)), "description": "Of a classifier, one row"}),
    _list_of({**_object(["embedding"], embedding=_list_of(_NUMBER)), "description": "Of such a model, one row"}),
]

SCHEMAS: dict[str, Schema] = {
    "LegacyAnswer": _object(
        ["success", "predictions"],
        success={"const": True},
        predictions={"anyOf": [*_ROWS, _ANY]},
        model={"type": "string"},
        revision={"type": "string"},
        image=_object(["width", "height"], width=_LENGTH, height=_LENGTH),
    ),
    "LegacySegments": _object(["success", "predictions"], success={"const": True}, predictions=_ANY),
    "LegacyCutOut": _object(
        ["success", "segments", "predictions"],
        success={"const": True},
        segments=_object(["poly", "box"], poly={}, box={}),
        predictions={"anyOf": [*_ROWS, _ANY]},
    ),
}


def responses_of(path: str) -> Described:
    """What the route of this path, without a slash at its end, may answer."""
    found = {
        "/predictor": answers("What was found in the image", ref("LegacyAnswer")),
        "/filet_predictor": answers("What was found in the animal in the middle", ref("LegacyCutOut")),
        "/sam-embed": answers("The embedding", {"type": "string", "format": "binary"}, "application/octet-stream"),
    }
    one = found.get(path.rstrip("/"), answers("The masks that the worker found", ref("LegacySegments")))
    return {200: one, **problems(404, 408, 413, 415, 422)}
