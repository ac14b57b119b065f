"""The form of the legacy predict endpoint: its fields, and how options are read from it."""

from collections.abc import Mapping
from typing import Any

from deployments.request import MAX_DETECTIONS_LIMIT, Options
from serve_app.bodies.forms import FILE, Accepted
from serve_app.bodies.option_values import number_in, threshold_in, tiling_in, whole_number_in
from serve_app.http.openapi_parts import query_parameters

FIELDS: dict[str, dict[str, Any]] = {
    "model_type": {"type": "string", "description": "name of a model or of a queue"},
    "score_threshold": {
        "anyOf": [
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

PROMPTS: dict[str, Any] = {"type": "string", "description": "The prompts of the segmenting routes, as JSON"}

FORM = Accepted(frozenset(FIELDS))
OPTIONS = tuple(field for field in FIELDS if field != "model_type")
"""The fields that are inputs of a model's postprocessing."""

QUERY_ALIASES = {"path": "model_type"}
"""The legacy server of 2022 called it `path`; it was the name of a queue there, too."""


def described_form(
    fields: Mapping[str, Mapping[str, Any]] = FIELDS, required: tuple[str, ...] = ()
) -> dict[str, Any]:
    """What the OpenAPI document says of a form with a file and these fields, which may stand in the query too."""
    properties = {FILE: {"type": "string", "format": "binary"}, **fields}
    schema = {
        "type": "object",
        "required": [FILE, *required],
        "properties": properties,
        "additionalProperties": False,
    }
    known = {**fields, **{alias: fields[name] for alias, name in QUERY_ALIASES.items() if name in fields}}
    return {
        "requestBody": {"required": True, "content": {"multipart/form-data": {"schema": schema}}},
        "parameters": query_parameters(known, known),
    }


def options_of(fields: dict[str, str]) -> Options:
    """What the form says beside model and image. Raises InvalidRequest."""
    classes = tuple(label.strip() for label in fields.get("classes", "").split(",") if label.strip())
    return Options(
        score_threshold=threshold_in(fields.get("score_threshold", "")),
        iou_threshold=number_in(fields.get("iou_threshold", ""), "iou_threshold"),
        max_detections=whole_number_in(fields.get("max_detections", ""), "max_detections"),
        classes=classes or None,
        tiling=tiling_in(fields.get("tiling", ""), fields.get("tiling_overlap", "")),
    )
