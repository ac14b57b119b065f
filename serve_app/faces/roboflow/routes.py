"""The paths of the roboflow face."""

from collections.abc import Awaitable, Callable
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from typing import Any
from uuid import uuid4

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from deployments.byte_budget import HeldBytes
from serve_app.faces.endpoint import Endpoint, json_answer
from serve_app.faces.face import DirectRoute, Face, FaceParts
from serve_app.faces.roboflow import described
from serve_app.faces.roboflow.inference import RoboflowInference
from serve_app.faces.roboflow.registry import (
    CLASSIFICATION,
    INSTANCE_SEGMENTATION,
    OBJECT_DETECTION,
    VERSION,
    registry,
)
from serve_app.http.openapi_parts import Described
from serve_app.http.problems import SENTENCE

PREFIX = "/roboflow"

MEMBERS = {"message": SENTENCE}
"""Where the SDK looks for what is wrong; in an answer of `application/json` only."""

Work = Callable[[Request, HeldBytes], Awaitable[Response]]


def roboflow_face(parts: FaceParts) -> Face:
    """v0 and v1 of roboflow's inference server."""
    router = APIRouter(prefix=PREFIX, tags=["roboflow"])
    inference = RoboflowInference(parts)
    endpoint = Endpoint(parts.budget, MEMBERS, reads_query=True)

    def add(path: str, work: Work, summary: str, extra: dict[str, Any], answered: dict[str, Any]) -> None:
        async def answer(request: Request) -> Response:
            return await endpoint.answer(request, work)

        router.add_api_route(
            path,
            answer,
            methods=["POST"],
            response_class=Response,
            summary=summary,
            responses=described.responses(answered),
            openapi_extra=extra,
            route_class_override=DirectRoute,
        )

    _add_state(router, parts)
    models, model_id = described.MODELS, described.MODEL_ID
    add("/model/add", inference.add, "The models, the asked one among them", model_id, models)
    add("/model/remove", inference.remove, "The models; none is taken away", model_id, models)
    for task in (OBJECT_DETECTION, CLASSIFICATION, INSTANCE_SEGMENTATION):
        work = partial(inference.of_task, task=task)
        summary = f"{task.capitalize()} of one or several images"
        add(f"/infer/{task.replace('-', '_')}", work, summary, described.V1, described.of_task(task))
    one = "What a model finds in one image"
    add(f"/{{model}}/{VERSION}", inference.of_path, one, described.V0, described.ANY_ANSWER)
    return Face(router, MEMBERS, PREFIX, "application/json", schemas=described.SCHEMAS)


def _add_state(router: APIRouter, parts: FaceParts) -> None:
    info = {"name": "FathomNet model server", "version": _own_version(), "uuid": str(uuid4())}

    @router.get("/info", summary="What this server is", responses={200: described.INFO})
    async def show_info() -> Response:
        return json_answer(info)

    async def show_registry() -> Response:
        return json_answer(registry(parts.models.catalogue.records()))

    models: Described = {200: described.MODELS}
    router.add_api_route("/model/registry", show_registry, summary="The models that can be asked", responses=models)
    router.add_api_route(
        "/model/clear", show_registry, methods=["POST"], summary="The models; none is taken away", responses=models
    )


def _own_version() -> str:
    try:
        return version("fathomnet-serve")
    except PackageNotFoundError:  # run from a folder of sources
        return "0"
