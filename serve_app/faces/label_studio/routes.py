"""The paths of the Label Studio face. They begin with the model's name: the address of a backend is all that a person
can choose in Label Studio."""

from collections.abc import Awaitable, Callable

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from serve_app.faces.face import DirectRoute, Face, FaceParts
from serve_app.faces.label_studio.described import PREDICT, SCHEMAS, SETUP, STATES, VERSIONS, WEBHOOK, Operation
from serve_app.faces.label_studio.predictions import MEMBERS, Backend

PREFIX = "/label-studio"
MODEL = PREFIX + "/{model}"


def label_studio_face(parts: FaceParts) -> Face:
    """Each model as a machine learning backend of Label Studio."""
    backend = Backend(parts)
    router = APIRouter(tags=["label-studio"])

    async def health(request: Request) -> Response:
        return backend.health(request)

    async def versions(request: Request) -> Response:
        return backend.versions(request)

    for path in (MODEL, f"{MODEL}/", f"{MODEL}/health"):
        _add(router, "GET", path, health, STATES)
    _add(router, "GET", f"{MODEL}/versions", versions, VERSIONS)
    _add(router, "POST", f"{MODEL}/setup", backend.setup, SETUP)
    _add(router, "POST", f"{MODEL}/predict", backend.predict, PREDICT)
    _add(router, "POST", f"{MODEL}/webhook", backend.webhook, WEBHOOK)
    return Face(router, problem_members=MEMBERS, prefix=PREFIX, schemas=SCHEMAS)


def _add(
    router: APIRouter,
    method: str,
    path: str,
    endpoint: Callable[[Request], Awaitable[Response]],
    operation: Operation,
) -> None:
    router.add_api_route(
        path,
        endpoint,
        methods=[method],
        status_code=operation.status,
        response_class=Response,
        route_class_override=DirectRoute if method == "POST" else None,
        summary=operation.summary,
        responses=operation.responses,
        openapi_extra=operation.extra,
    )
