"""What the OpenAPI document says of `/v1/models/{model}/predict`."""

from collections.abc import Mapping
from typing import Any

from deployments.request import MAX_DETECTIONS_LIMIT, MAX_REGIONS
from serve_app.faces.v1.sent import IMAGE_PARTS, MAX_IMAGES
from serve_app.formats import FORMATS
from serve_app.http.openapi_parts import Described, answers, problems, query_parameters, ref

Schema = dict[str, Any]

_SHARE: Schema = {"type": "number", "minimum": 0, "maximum": 1}
_FILE: Schema = {"type": "string", "format": "binary", "description": "An image file"}
_BY_LABEL: Schema = {
    "type": "object",
    "additionalProperties": _SHARE,
    "description": 'By label; "*" stands for all others',
}
_BY_LABEL_TEXT: Schema = {"type": "string", "description": 'JSON, such as {"Crab": 0.5, "*": 0.2}'}
_LABELS: Schema = {
    "type": "array",
    "minItems": 1,
    "items": {"type": "string", "minLength": 1},
    "description": "Labels to keep, of those that the model has; a label may hold a comma",
}

_IN_JSON: dict[str, Schema] = {
    "score_threshold": {"oneOf": [_SHARE, _BY_LABEL]},
    "iou_threshold": _SHARE,
    "max_detections": {"type": "integer", "minimum": 1, "maximum": MAX_DETECTIONS_LIMIT},
    "classes": _LABELS,
    "tiling": {
        "type": "string",
        "pattern": r"^(on|off|[1-9]\d{1,3}x[1-9]\d{1,3})$",
        "description": "Looking at a large image in tiles too: on, off, or WIDTHxHEIGHT of a tile in pixels",
    },
    "tiling_overlap": {
        **_SHARE,
        "maximum": 0.8,
        "description": "Part of a tile that it shares with its neighbour; only with tiling",
    },
    "regions": {
        "type": "array",
        "minItems": 1,
        "maxItems": MAX_REGIONS,
        "items": {
            "type": "object",
            "required": ["x1", "y1", "x2", "y2"],
            "properties": {side: {"type": "number", "minimum": 0} for side in ("x1", "y1", "x2", "y2")},
            "additionalProperties": False,
        },
        "description": "Parts of the image to look at, in its pixels; boxes are still those of the whole image",
    },
    "format": {"type": "string", "enum": ["json", *FORMATS], "description": "What the answer is written as"},
}

_IN_TEXT = _IN_JSON | {
    "score_threshold": {"anyOf": [_SHARE, _BY_LABEL_TEXT]},
    "regions": {"type": "string", "description": 'JSON, such as [{"x1": 0, "y1": 0, "x2": 640, "y2": 480}]'},
}


def _object(required: list[str], **properties: Schema) -> Schema:
    return {"type": "object", "required": required, "properties": properties}


def _list_of(items: Mapping[str, Any]) -> Schema:
    return {"type": "array", "items": items}


_NUMBER: Schema = {"type": "number"}
_COUNT: Schema = {"type": "integer", "minimum": 0}
_POINT: Schema = {"type": "array", "items": _NUMBER, "minItems": 2, "maxItems": 2}
_SIZE: Schema = {"type": ["integer", "null"], "minimum": 1, "description": "In pixels of the image as it is stored"}

SCHEMAS: dict[str, Schema] = {
    "Predicted": _object(
        ["model", "revision", "licence", "images"],
        model={"type": "string", "description": "Who answered: the model, or its candidate"},
        revision={"type": ["string", "null"]},
        licence={"type": ["string", "null"], "description": "Of the weights, where it is known"},
        images=_list_of(ref("PredictedImage")),
    ),
    "PredictedImage": {
        **_object(
            ["name"],
            name={"type": ["string", "null"], "description": "As the client called the file"},
            width=_SIZE,
            height=_SIZE,
            detections=_list_of(ref("Detected")),
            classes=_list_of(ref("ClassScore")),
            embedding=_list_of(_NUMBER),
            answer={"description": "What an external worker answered, any JSON"},
            timings=ref("ImageTimings"),
            error=ref("Problem"),
            model={"type": "string", "description": "Where another revision answered than for the other images"},
            revision={"type": ["string", "null"]},
            licence={"type": ["string", "null"]},
        ),
        "oneOf": [{"required": [kind]} for kind in ("detections", "classes", "embedding", "answer", "error")],
    },
    "Detected": _object(
        ["label", "class_id", "score", "box"],
        label={"type": "string"},
        class_id=_COUNT,
        score=_SHARE,
        box=_object(["x1", "y1", "x2", "y2"], x1=_NUMBER, y1=_NUMBER, x2=_NUMBER, y2=_NUMBER),
        mask={
            **_object(["size", "counts"], size=_list_of(_COUNT), counts={"type": "string"}),
            "description": "Height and width of the mask's own grid, which covers the image, and COCO's compressed "
            "run lengths on it",
        },
        polygon={**_list_of(_POINT), "description": "The outline of the largest piece, in pixels of the image"},
        keypoints=_list_of(_object(["x", "y", "score"], x=_NUMBER, y=_NUMBER, score=_NUMBER)),
        corners={**_list_of(_POINT), "description": "Of a rotated box"},
    ),
    "ClassScore": _object(["label", "class_id", "score"], label={"type": "string"}, class_id=_COUNT, score=_NUMBER),
    "ImageTimings": _object(
        ["decode_s", "wait_s", "inference_s", "postprocess_s", "batch_size"],
        **{stage: {"type": "number"} for stage in ("decode_s", "wait_s", "inference_s", "postprocess_s")},
        batch_size=_COUNT,
    ),
}

_NAMED: Schema = {
    "name": "model",
    "in": "path",
    "required": True,
    "schema": {"type": "string", "minLength": 1},
    "description": "A model's name, or a queue that it answers for",
}
_TEXT: Schema = {"type": "string", "minLength": 1, "description": "Base64, or a data URI with ;base64"}


def _json_body() -> Schema:
    images: Schema = {"type": "array", "items": _TEXT, "minItems": 1, "maxItems": MAX_IMAGES}
    return {
        "type": "object",
        "properties": {"image": _TEXT, "images": images, **_IN_JSON},
        "additionalProperties": False,
        "oneOf": [{"required": ["image"]}, {"required": ["images"]}],
    }


def _form() -> Schema:
    files: Schema = {"type": "array", "items": _FILE, "minItems": 1, "maxItems": MAX_IMAGES}
    return {
        "type": "object",
        "properties": {**dict.fromkeys(IMAGE_PARTS, files), **_IN_TEXT},
        "additionalProperties": False,
        "anyOf": [{"required": [part]} for part in IMAGE_PARTS],
    }


def operation() -> Schema:
    """Parameters and body."""
    content = {
        "multipart/form-data": {"schema": _form()},
        "application/json": {"schema": _json_body()},
        "image/*": {"schema": _FILE},
        "application/octet-stream": {"schema": _FILE},
    }
    return {
        "parameters": [_NAMED, *query_parameters(_IN_TEXT, _IN_TEXT)],
        "requestBody": {"required": True, "content": content},
    }


def responses() -> Described:
    """What may be answered."""
    found = answers("What was found in the images, in their order.", ref("Predicted"))
    known = found["content"]
    for one in FORMATS.values():
        for media_type in (one.file_type(1)[0], one.file_type(2)[0]):
            if media_type != "application/json":
                known[media_type] = {"schema": {"type": "string", "format": "binary"}}
    of_formats = [name for name, one in FORMATS.items() if one.media_type == "application/json"]
    if of_formats:
        other = {"description": f"With format={' or '.join(of_formats)}"}
        known["application/json"] = {"schema": {"anyOf": [ref("Predicted"), other]}}
    return {200: found, **problems(404, 406, 408, 413, 415, 422)}
