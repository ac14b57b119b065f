"""What the OpenAPI document says of adding and removing models."""

from typing import Any

from serve_app.http.openapi_parts import PROBLEM_TYPE, Described, answers, problems, ref

MAX_BLOCK_BYTES = 512 * 2**10
"""Of a block: room for the labels of the largest classifiers."""

READ = ("application/yaml", "application/json", "application/x-yaml", "text/yaml")
"""Content types of a block. application/yaml is that of RFC 9512."""

_BLOCK: dict[str, Any] = {
    "type": "object",
    "required": ["name", "import_path", "route_prefix", "args", "deployments"],
    "properties": {
        "name": {"type": "string"},
        "import_path": {"const": "deployments.app:build"},
        "route_prefix": {"type": "null"},
        "args": {"type": "object", "description": "What the model is: docs/models.md"},
        "deployments": {"type": "array", "items": {"type": "object"}, "minItems": 1, "maxItems": 1},
    },
    "additionalProperties": False,
}
_BY_NAME: dict[str, Any] = {
    "type": "object",
    "required": ["model"],
    "properties": {"model": {"type": "string", "description": "A name in configs/fathomnet.yaml"}},
    "additionalProperties": False,
}

SCHEMAS: dict[str, Any] = {
    "ModelChange": {
        "type": "object",
        "required": ["model", "state", "notes"],
        "properties": {
            "model": {"type": "string"},
            "state": {"enum": ["starting", "stopping"]},
            "notes": {
                "type": "array",
                "items": {"type": "string"},
                "description": "Queues of a model of the catalogue that stay with another one",
            },
        },
    }
}


def add_operation() -> dict[str, Any]:
    """The body of an addition."""
    as_json = {"schema": {"oneOf": [_BLOCK, _BY_NAME]}}
    as_yaml = {"schema": {"type": "string", "description": "The same as YAML, as `make add` takes it"}}
    content = {media_type: as_json if media_type == "application/json" else as_yaml for media_type in READ}
    return {"requestBody": {"required": True, "content": content}}


def adding() -> Described:
    """What may be answered to an addition."""
    said = answers("It is a part of the system, and starts: ask for /v1/models/{model}/ready.", ref("ModelChange"))
    why = "A model of this name runs, or one that has one of its queues."
    return {202: said, **problems(403, 408, 413, 415, 422), **_conflict(why)}


def removing() -> Described:
    """What may be answered to a removal."""
    said = answers("It finishes what it has in work, and goes.", ref("ModelChange"))
    why = "It has candidates, is required, is the last one, or answers requests that name no model."
    return {202: said, **problems(403, 404), **_conflict(why)}


def _conflict(why: str) -> Described:
    return {409: answers(f"Conflict. {why}", ref("Problem"), PROBLEM_TYPE)}
