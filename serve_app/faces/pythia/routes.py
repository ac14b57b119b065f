"""The paths of the pythia face, what they answer, and what the OpenAPI document says of them."""

from typing import Any

import orjson
from fastapi import APIRouter
from starlette.requests import Request as HttpRequest
from starlette.responses import Response

from deployments.byte_budget import HeldBytes
from deployments.errors import ServingError
from deployments.prediction import Detections
from deployments.request import Options, Request
from serve_app.bodies.forms import FILE, Accepted, Form, image_of
from serve_app.faces.detections import detections_of
from serve_app.faces.endpoint import json_answer
from serve_app.faces.face import DirectRoute, Face, FaceParts
from serve_app.faces.form_endpoint import FormEndpoint
from serve_app.http.openapi_parts import answers, problems, ref

PREFIX = "/pythia"

ACCEPTED = Accepted(frozenset())
"""The form has a file and nothing else."""

SCHEMAS: dict[str, dict[str, Any]] = {
    "PythiaBox": {
        "type": "object",
        "required": ["concept", "x", "y", "width", "height", "probability"],
        "properties": {
            "concept": {"type": "string"},
            **{name: {"type": "number"} for name in ("x", "y", "width", "height", "probability")},
        },
        "description": "x and y are the upper left corner, in pixels of the image",
    },
    "PythiaHealth": {
        "type": "object",
        "required": ["status", "checks"],
        "properties": {"status": {"enum": ["UP", "DOWN"]}, "checks": {"type": "array", "items": {"type": "object"}}},
    },
}

_FORM = {
    "type": "object",
    "required": [FILE],
    "properties": {FILE: {"type": "string", "format": "binary"}},
    "additionalProperties": False,
}


def pythia_face(parts: FaceParts) -> Face:
    """Predictions of the default model, and whether it answers."""
    router = APIRouter(prefix=PREFIX, tags=["pythia"])
    endpoint = FormEndpoint(parts.settings, parts.budget, ACCEPTED)

    async def answer_form(form: Form, _: HeldBytes) -> Response:
        request = Request(image_of(form), Options(), parts.settings.deadline_s, None, *form.origin)
        [found] = await parts.models.predictions(parts.record_of(), [request])
        return json_answer(_boxes(detections_of(found)), found)

    async def predict(http_request: HttpRequest) -> Response:
        return await endpoint.answer(http_request, answer_form)

    for path in ("/predict", "/predict/"):
        router.add_api_route(
            path,
            predict,
            methods=["POST"],
            response_class=Response,
            summary="What the default model finds in one image",
            responses={
                200: answers("A list of boxes, best first", {"type": "array", "items": ref("PythiaBox")}),
                **problems(404, 408, 413, 415, 422),
            },
            openapi_extra={"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": _FORM}}}},
            route_class_override=DirectRoute,
        )

    @router.get(
        "/q/health",
        summary="Whether the default model answers",
        responses={
            200: answers("It does; one that is asleep is woken by a request", ref("PythiaHealth")),
            503: answers("It does not", ref("PythiaHealth")),
        },
    )
    async def health() -> Response:
        return _health(parts)

    return Face(router, prefix=PREFIX, schemas=SCHEMAS)


def _boxes(found: Detections) -> list[dict[str, Any]]:
    rows = zip(found.labels, found.scores.tolist(), found.boxes.tolist(), strict=True)
    return [
        {"concept": label, "x": x1, "y": y1, "width": x2 - x1, "height": y2 - y1, "probability": score}
        for label, score, (x1, y1, x2, y2) in rows
    ]


def _health(parts: FaceParts) -> Response:
    """As Quarkus writes it. Why a model cannot answer, `/health/ready` says."""
    try:
        record = parts.record_of()
        name, is_up = record.name, record.can_answer
    except ServingError:
        name, is_up = "default model", False
    status = "UP" if is_up else "DOWN"
    body = orjson.dumps({"status": status, "checks": [{"name": name, "status": status}]})
    return Response(body, 200 if is_up else 503, media_type="application/json")
