"""What the OpenAPI document says of the roboflow face."""

from typing import Any

from deployments.request import MAX_DETECTIONS_LIMIT
from serve_app.faces.roboflow.options import MASK_FORMATS
from serve_app.faces.roboflow.registry import CLASSIFICATION, INSTANCE_SEGMENTATION
from serve_app.faces.roboflow.sent import MAX_IMAGES
from serve_app.http.openapi_parts import Described, answers, problems, query_parameters, ref

Schema = dict[str, Any]

_NUMBER: Schema = {"type": "number"}
_TEXT: Schema = {"type": "string"}
_SHARE: Schema = {"type": "number", "minimum": 0, "maximum": 1}
_PERCENT: Schema = {
    "type": "number",
    "minimum": 0,
    "maximum": 100,
    "description": "0 to 1, or a percentage from 1: roboflow takes 1 for one percent",
}
_LIMIT: Schema = {"type": "integer", "minimum": 1, "maximum": MAX_DETECTIONS_LIMIT}
_MASKS: Schema = {"type": "string", "enum": list(MASK_FORMATS)}
_LENGTH: Schema = {"type": "integer", "minimum": 1}


def _object(required: list[str], **properties: Schema) -> Schema:
    return {"type": "object", "required": required, "properties": properties}


def _list_of(items: Schema) -> Schema:
    return {"type": "array", "items": items}


_POINT = _object(["x", "y"], x=_NUMBER, y=_NUMBER)
_HEAD = {
    "inference_id": _TEXT,
    "time": {"type": "number", "description": "Seconds in the model's process"},
    "image": _object(["width", "height"], width=_LENGTH, height=_LENGTH),
}
_MODEL = {
    **_object(["model_id", "task_type"], model_id=_TEXT, task_type=_TEXT),
    "description": "input_height and input_width are those of the network, where its block says them",
}

SCHEMAS: dict[str, Schema] = {
    "RoboflowDetected": _object(
        [*_HEAD, "predictions"],
        **_HEAD,
        predictions=_list_of(ref("RoboflowDetection")),
    ),
    "RoboflowDetection": {
        **_object(
            ["x", "y", "width", "height", "confidence", "class", "class_id", "detection_id"],
            x=_NUMBER,
            y=_NUMBER,
            width=_NUMBER,
            height=_NUMBER,
            confidence=_SHARE,
            class_id={"type": "integer", "minimum": 0},
            detection_id=_TEXT,
            points={**_list_of(_POINT), "description": "The outline of the mask, where the model finds masks"},
            rle={**_object(["size", "counts"]), "description": "The mask in COCO's run lengths, where asked for"},
        ),
        "description": "x and y are the centre of the box, in pixels of the image",
    },
    "RoboflowClassified": _object(
        [*_HEAD, "predictions", "top", "confidence"],
        **_HEAD,
        predictions=_list_of(_object(["class", "class_id", "confidence"], confidence=_NUMBER)),
        top=_TEXT,
        confidence=_NUMBER,
    ),
    "RoboflowModels": _object(["models"], models=_list_of(_MODEL)),
}

INFO = answers("Its name and version", _object(["name", "version", "uuid"], name=_TEXT, version=_TEXT, uuid=_TEXT))
MODELS = answers("Each with its id and task", ref("RoboflowModels"))

_DETECTED, _CLASSIFIED = ref("RoboflowDetected"), ref("RoboflowClassified")
ANY_ANSWER = answers("What was found", {"anyOf": [_DETECTED, _CLASSIFIED]})

MODEL_ID: Schema = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": _object(["model_id"], model_id={**_TEXT, "minLength": 1})}},
    }
}

_IN_QUERY = {
    "confidence": _PERCENT,
    "overlap": _PERCENT,
    "max_detections": _LIMIT,
    "response_mask_format": _MASKS,
    "format": {"type": "string", "enum": ["json"]},
}
_NAMED: Schema = {
    "name": "model",
    "in": "path",
    "required": True,
    "schema": {"type": "string", "minLength": 1},
    "description": "A model's name, or a queue that it answers for",
}

V0: Schema = {
    "parameters": [
        _NAMED,
        *query_parameters(_IN_QUERY, _IN_QUERY),
    ],
    "requestBody": {
        "required": True,
        "content": {
            "application/x-www-form-urlencoded": {"schema": {**_TEXT, "description": "The image in base64"}},
            "multipart/form-data": {"schema": _object(["file"], file={"type": "string", "format": "binary"})},
        },
    },
}

_IMAGE = {**_object(["type", "value"], type={"const": "base64"}, value=_TEXT), "additionalProperties": False}

V1: Schema = {
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": _object(
                    ["model_id", "image"],
                    model_id={"type": "string", "minLength": 1, "examples": ["benthic-demo/1"]},
                    image={"oneOf": [_IMAGE, {**_list_of(_IMAGE), "minItems": 1, "maxItems": MAX_IMAGES}]},
                    confidence={"anyOf": [_SHARE, {"const": "default"}]},
                    iou_threshold=_SHARE,
                    max_detections=_LIMIT,
                    class_filter={**_list_of(_TEXT), "minItems": 1},
                    response_mask_format=_MASKS,
                    visualize_predictions={"const": False},
                )
            }
        },
    }
}


def of_task(task: str) -> dict[str, Any]:
    """The answer of a route of v1."""
    one = _CLASSIFIED if task == CLASSIFICATION else _DETECTED
    beside = ", with points or rle" if task == INSTANCE_SEGMENTATION else ""
    return answers(f"What was found{beside}; a list for a list of images", {"anyOf": [one, _list_of(one)]})


def responses(answered: dict[str, Any]) -> Described:
    """What a route may answer."""
    return {200: answered, **problems(404, 408, 413, 415, 422)}
