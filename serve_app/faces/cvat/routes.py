"""The paths of the face for CVAT."""

from typing import Any

import orjson
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from deployments.errors import ModelNotFound
from serve_app.faces.cvat import described
from serve_app.faces.cvat.functions import function_named, function_of, functions
from serve_app.faces.cvat.invocations import PROBLEM_MEMBERS, Invocations
from serve_app.faces.face import DirectRoute, Face, FaceParts
from serve_app.http.problems import problem

PREFIX = "/api"


def cvat_face(parts: FaceParts) -> Face:
    """Nuclio's dashboard, as far as CVAT knows it."""
    router = APIRouter(tags=["CVAT"])
    catalogue = parts.models.catalogue
    invocations = Invocations(parts)

    @router.get(f"{PREFIX}/functions", summary="All models that CVAT can use, as functions", responses=described.LIST)
    async def list_functions() -> Response:
        return _json(functions(catalogue))

    @router.get(f"{PREFIX}/functions/{{model}}", summary="One model as a function", responses=described.ONE)
    async def show_function(model: str) -> Response:
        try:
            return _json(function_of(function_named(catalogue, model)))
        except ModelNotFound as error:
            return problem(error, PROBLEM_MEMBERS)

    async def invoke(request: Request) -> Response:
        return await invocations.answer(request)

    router.add_api_route(
        f"{PREFIX}/function_invocations",
        invoke,
        methods=["POST"],
        response_class=Response,
        route_class_override=DirectRoute,
        summary="What a model finds in an image, as annotations of CVAT",
        responses=described.called(),
        openapi_extra=described.operation(),
    )
    return Face(router, problem_members=PROBLEM_MEMBERS, prefix=PREFIX, schemas=described.SCHEMAS)


def _json(body: dict[str, Any]) -> Response:
    return Response(orjson.dumps(body), media_type="application/json")
