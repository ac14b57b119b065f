"""What the OpenAPI document says of the routes for CVAT."""

from typing import Any

from serve_app.http.openapi_parts import Described, answers, problems, ref

Schema = dict[str, Any]

_NUMBERS: Schema = {"type": "array", "items": {"type": "number"}}
_TEXT: Schema = {"type": "string"}
_MASK: Schema = {
    **_NUMBERS,
    "description": "Pixels, 0 or 1, row by row, then left, top, right and bottom of them, all included",
}


def _object(required: list[str], **properties: Schema) -> Schema:
    return {"type": "object", "required": required, "properties": properties}


SCHEMAS: dict[str, Schema] = {
    "CvatFunction": _object(
        ["metadata", "spec", "status"],
        metadata=_object(
            ["name", "namespace", "annotations"],
            name=_TEXT,
            namespace=_TEXT,
            annotations=_object(
                ["name", "type", "framework", "spec"],
                name=_TEXT,
                type={"const": "detector"},
                framework=_TEXT,
                spec={**_TEXT, "description": 'Its labels, as JSON: [{"id": 0, "name": "Crab"}]'},
            ),
        ),
        spec=_object(["description"], description=_TEXT),
        status=_object(["state"], state={"enum": ["ready", "building", "error"]}),
    ),
    "CvatAnnotation": _object(
        ["label", "confidence", "type"],
        label=_TEXT,
        confidence={**_TEXT, "description": "A number as text"},
        type={"enum": ["rectangle", "polygon", "mask", "tag"]},
        points={**_NUMBERS, "description": "x y x y, in pixels of the image"},
        rotation={"type": "number", "description": "Of a rectangle, in degrees, clockwise about its middle"},
        mask=_MASK,
    ),
}

LIST: Described = {
    200: answers("All of them, by their names", {"type": "object", "additionalProperties": ref("CvatFunction")})
}

ONE: Described = {200: answers("Its labels and state", ref("CvatFunction")), **problems(404)}


def operation() -> Schema:
    """Header and body of a call."""
    named = {"name": "x-nuclio-function-name", "in": "header", "required": True, "schema": {**_TEXT, "minLength": 1}}
    body = {
        **_object(
            ["image"],
            image={**_TEXT, "minLength": 1, "description": "Base64 of an image file"},
            threshold={"type": ["number", "null"], "minimum": 0, "maximum": 1, "description": "Least score"},
        ),
        "additionalProperties": False,
    }
    return {
        "parameters": [named],
        "requestBody": {"required": True, "content": {"application/json": {"schema": body}}},
    }


def called() -> Described:
    """What a call may be answered."""
    found = answers("What was found, best first", {"type": "array", "items": ref("CvatAnnotation")})
    return {200: found, **problems(404, 408, 413, 415, 422)}
