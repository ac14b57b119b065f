"""The paths of the Ultralytics face, and what the OpenAPI document says of them."""

from typing import Any

from fastapi import APIRouter
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response

from serve_app.bodies.forms import FILE
from serve_app.faces.face import DirectRoute, Face, FaceParts
from serve_app.faces.ultralytics.fields import IMGSZ_PX, MOST_DECIMALS
from serve_app.faces.ultralytics.predict import MEMBERS, UltralyticsPredict
from serve_app.http.openapi_parts import answers, problems, query_parameters, ref

Schema = dict[str, Any]

PREFIX = "/ultralytics"

ENDPOINT = "/{model}/predict"
"""Of a dedicated endpoint, of which the client only knows the address."""

MODEL = "/api/models/{owner}/{project}/{model}/predict"
DEPLOYMENT = "/api/deployments/{owner}/{model}/predict"

_NUMBER: Schema = {"type": "number"}
_SHARE: Schema = {"type": "number", "minimum": 0, "maximum": 1}
_COUNT: Schema = {"type": "integer", "minimum": 0}
_COLUMN: Schema = {"type": "array", "items": _NUMBER}

_FIELDS: dict[str, Schema] = {
    "conf": _SHARE,
    "iou": _SHARE,
    "imgsz": {
        "type": "integer",
        "minimum": IMGSZ_PX[0],
        "maximum": IMGSZ_PX[1],
        "description": "Without effect: each model has a size of its own",
    },
    "normalize": {"type": "string", "enum": ["true", "false"]},
    "decimals": {"type": "integer", "minimum": 0, "maximum": MOST_DECIMALS},
    "vid_stride": {"type": "integer", "minimum": 1, "description": "Without effect on an image"},
}


def _object(required: list[str], **properties: Schema) -> Schema:
    return {"type": "object", "required": required, "properties": properties}


SCHEMAS: dict[str, Schema] = {
    "UltralyticsAnswer": _object(
        ["images", "metadata"],
        images={"type": "array", "items": ref("UltralyticsImage")},
        metadata=_object(
            ["imageCount", "functionTimeAlive", "functionTimeCall", "model", "task", "version"],
            imageCount=_COUNT,
            functionTimeAlive=_NUMBER,
            functionTimeCall={"type": "number", "description": "Seconds"},
            model={"type": "string"},
            task={"type": "string", "enum": ["detect", "segment", "pose", "obb", "classify"]},
            version={"type": "object"},
            classNames={"type": "array", "items": {"type": "string"}},
        ),
    ),
    "UltralyticsImage": _object(
        ["shape", "speed", "results"],
        shape={"type": "array", "items": _COUNT, "description": "Height, width"},
        speed={"type": "object", "description": "Milliseconds by stage"},
        results={
            "type": "array",
            "items": _object(
                ["name", "class", "confidence"],
                name={"type": "string"},
                confidence=_NUMBER,
                box={"type": "object", "description": "x1, y1, x2, y2; of a rotated box to x4, y4"},
                segments=_object(["x", "y"], x=_COLUMN, y=_COLUMN),
                keypoints=_object(["x", "y", "visible"], x=_COLUMN, y=_COLUMN, visible=_COLUMN),
            ),
        },
    ),
}


def ultralytics_face(parts: FaceParts) -> Face:
    """Prediction as Ultralytics Platform has it."""
    router = APIRouter(prefix=PREFIX, tags=["ultralytics"])
    predict = UltralyticsPredict(parts)

    async def answer(request: Request) -> Response:
        return await predict.answer(request)

    found = answers("What was found", ref("UltralyticsAnswer"))
    for path in (MODEL, DEPLOYMENT, ENDPOINT):
        router.add_api_route(
            path,
            answer,
            methods=["POST"],
            response_class=Response,
            summary="What a model finds in one image",
            responses={200: found, **problems(404, 408, 413, 415, 422)},
            openapi_extra=_operation(path),
            route_class_override=DirectRoute if path == ENDPOINT else APIRoute,
        )
    return Face(router, MEMBERS, PREFIX, schemas=SCHEMAS)


def _operation(path: str) -> Schema:
    names = [name for name in ("owner", "project", "model") if f"{{{name}}}" in path]
    in_path = [{"name": name, "in": "path", "required": True, "schema": _name(name)} for name in names]
    form = {
        **_object([FILE], **{FILE: {"type": "string", "format": "binary"}}, **_FIELDS),
        "additionalProperties": False,
    }
    return {
        "parameters": [*in_path, *query_parameters(_FIELDS, _FIELDS)],
        "requestBody": {"required": True, "content": {"multipart/form-data": {"schema": form}}},
    }


def _name(of: str) -> Schema:
    said = "A model's name, or a queue that it answers for" if of == "model" else "Any: there is none here"
    return {"type": "string", "minLength": 1, "description": said}
