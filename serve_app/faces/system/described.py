"""What the OpenAPI document says of the system's own routes."""

from typing import Any

from deployments.catalogue import ModelState
from serve_app.http.openapi_parts import ref

Schema = dict[str, Any]

_TEXT: Schema = {"type": "string"}
_COUNT: Schema = {"type": "integer", "minimum": 0}
_NAMES: Schema = {"type": "array", "items": _TEXT}
_STATE: Schema = {"type": "string", "enum": [state.value for state in ModelState]}
_REASONS: Schema = {
    "type": "array",
    "items": {
        "type": "object",
        "required": ["reason"],
        "properties": {"model": _TEXT, "state": _STATE, "application": _TEXT, "reason": _TEXT},
    },
}
_QUEUES: Schema = {
    "type": ["array", "null"],
    "items": {
        "type": "object",
        "required": ["queue", "waiting"],
        "properties": {"queue": _TEXT, "waiting": {**_COUNT, "description": "Jobs"}},
    },
    "description": "Of models and of external workers; null where it is not known",
}
_READINESS: Schema = {
    "status": {"enum": ["ready", "degraded", "not ready"]},
    "reasons": _REASONS,
    "degraded": _REASONS,
}


def _object(properties: Schema) -> Schema:
    return {"type": "object", "required": list(properties), "properties": properties}


_SHARED = {"name": _TEXT, "queues": _NAMES, "external": {"type": "boolean"}, "state": _STATE, "reason": _TEXT}

SCHEMAS: dict[str, Schema] = {
    "Model": _object(
        {
            **_SHARED,
            "replicas": _COUNT,
            "description": _TEXT,
            "family": _TEXT,
            "revision": _TEXT,
            "labels": {"type": ["array", "null"], "items": _TEXT, "description": "null where only the weights say"},
            "licence": _TEXT,
            "required": {"type": "boolean"},
            "knobs": {"type": ["object", "null"], "description": "Live settings; null for an external worker"},
        }
    ),
    "Models": _object(
        {
            "default_model": {"type": ["string", "null"]},
            "models": {"type": "array", "items": ref("Model")},
        }
    ),
    "ModelReady": _object({"name": _TEXT, "state": _STATE, "ready": {"const": True}}),
    "Readiness": _object(_READINESS),
    "Up": _object({"status": {"enum": ["UP", "DOWN"]}, "checks": {"type": "array"}}),
    "Samples": {"type": "array", "items": _object({"name": _TEXT, "url": _TEXT})},
    "ModelWork": _object(
        {
            **_SHARED,
            "last_failure": {**_TEXT, "description": "Why its last replica did not start"},
            "replicas": _COUNT,
            "in_work": {**_COUNT, "description": "Images that wait for it through this door"},
            "answered": {**_COUNT, "description": "Images since this door started"},
            "failed": {**_COUNT, "description": "Images since this door started, faults of clients not counted"},
            "images_per_s": {"type": "number", "description": "Answered in the last minute"},
            "last_error": {
                "oneOf": [{"type": "null"}, _object({"code": _TEXT, "detail": _TEXT, "at": _TEXT})],
                "description": "The last that was no client's fault",
            },
        }
    ),
    "System": _object(
        {
            **_READINESS,
            "models": {"type": "array", "items": ref("ModelWork")},
            "redis": {
                "oneOf": [{"type": "null"}, _object({"application": _TEXT, "reason": _TEXT, "queues": _QUEUES})]
            },
            "uploads": _object({"held_bytes": _COUNT, "limit_bytes": _COUNT}),
            "seen_before_s": {"type": "number", "description": "How old the view of the models is"},
        }
    ),
}
