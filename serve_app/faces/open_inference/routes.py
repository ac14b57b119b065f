"""The paths of the Open Inference Protocol."""

from collections.abc import Awaitable, Callable
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from deployments.byte_budget import HeldBytes
from deployments.errors import ModelUnavailable, ServingError
from serve_app.bodies.uploads import UploadLimits, read_body
from serve_app.faces.endpoint import Endpoint
from serve_app.faces.face import DirectRoute, Face, FaceParts
from serve_app.faces.open_inference import repository
from serve_app.faces.open_inference.described import SCHEMAS, Described, Operations
from serve_app.faces.open_inference.inference import Inferences
from serve_app.faces.open_inference.metadata import SERVER, config_of, index_of, metadata_of, why_not_ready
from serve_app.faces.open_inference.named import NamedModel, find, named_models
from serve_app.http.problems import SENTENCE, problem

PREFIX = "/v2"
ERROR = {"error": SENTENCE}
"""What the clients look for in the answer where the status is not 200, and nothing else."""

_MODEL = f"{PREFIX}/models/{{model}}"
_OF_A_VERSION = (_MODEL, f"{_MODEL}/versions/{{version}}")

Answer = Callable[[Request], Awaitable[Response]]


def open_inference_face(parts: FaceParts) -> Face:
    """All paths below `/v2`."""
    router = APIRouter(tags=["Open Inference Protocol v2"])
    inference = Inferences(parts)
    _add_server(router, parts)
    _add_models(router, parts, inference)
    _add_repository(router, parts)
    _add_inference(router, parts, inference)
    return Face(router, ERROR, PREFIX, schemas=SCHEMAS)


def _add_server(router: APIRouter, parts: FaceParts) -> None:
    catalogue = parts.models.catalogue

    def ready(request: Request) -> Any:
        del request
        if reason := why_not_ready(catalogue):
            raise ModelUnavailable(reason)
        return {"live": True, "ready": True}

    _add_get(router, f"{PREFIX}/health/live", lambda request: {"live": True}, Operations.LIVE)
    _add_get(router, f"{PREFIX}/health/ready", ready, Operations.READY)
    _add_get(router, PREFIX, lambda request: SERVER, Operations.SERVER)


def _add_models(router: APIRouter, parts: FaceParts, inference: Inferences) -> None:
    catalogue, statistics = parts.models.catalogue, inference.statistics

    def of_model(tell: Callable[[NamedModel], Any]) -> Callable[[Request], Any]:
        return lambda request: tell(_named_in(request, parts))

    def ready(named: NamedModel) -> Any:
        if not named.record.can_answer:
            raise named.record.unavailable()
        return {"name": named.name, "ready": True}

    # Before the paths of one model, of which it would be a name.
    _add_get(
        router,
        f"{PREFIX}/models/stats",
        lambda request: {"model_stats": [statistics.of(named) for named in named_models(catalogue)]},
        Operations.ALL_STATISTICS,
    )
    for path in _OF_A_VERSION:
        _add_get(router, path, of_model(metadata_of), Operations.METADATA)
        _add_get(router, f"{path}/ready", of_model(ready), Operations.MODEL_READY)
        _add_get(router, f"{path}/config", of_model(config_of), Operations.CONFIG)
        _add_get(
            router,
            f"{path}/stats",
            of_model(lambda named: {"model_stats": [statistics.of(named)]}),
            Operations.STATISTICS,
        )


def _add_repository(router: APIRouter, parts: FaceParts) -> None:
    catalogue = parts.models.catalogue

    async def index(request: Request, body: bytes) -> Response:
        del request
        return JSONResponse(index_of(named_models(catalogue), repository.is_only_ready(body)))

    async def load(request: Request, body: bytes) -> Response:
        await repository.load(parts, _named_in(request, parts), body)
        return JSONResponse({})

    async def unload(request: Request, body: bytes) -> Response:
        repository.refuse_unloading(_named_in(request, parts), body)
        return JSONResponse({})

    _add_post(router, parts, f"{PREFIX}/repository/index", index, Operations.INDEX)
    _add_post(router, parts, f"{PREFIX}/repository/models/{{model}}/load", load, Operations.LOAD)
    _add_post(router, parts, f"{PREFIX}/repository/models/{{model}}/unload", unload, Operations.UNLOAD)


def _add_inference(router: APIRouter, parts: FaceParts, inference: Inferences) -> None:
    endpoint = Endpoint(parts.budget, ERROR)

    async def infer(request: Request) -> Response:
        return await endpoint.answer(request, inference.answer)

    for path in _OF_A_VERSION:
        described = Operations.INFER.of(path)
        kind = DirectRoute if path == _MODEL else None
        router.add_api_route(f"{path}/infer", infer, methods=["POST"], route_class_override=kind, **described)


def _add_get(router: APIRouter, path: str, tell: Callable[[Request], Any], described: Described) -> None:
    async def answer(request: Request) -> Response:
        try:
            return JSONResponse(tell(request))
        except ServingError as error:
            return problem(error, ERROR)

    router.add_api_route(path, answer, methods=["GET"], **described.of(path))


def _add_post(
    router: APIRouter,
    parts: FaceParts,
    path: str,
    work: Callable[[Request, bytes], Awaitable[Response]],
    described: Described,
) -> None:
    endpoint, limits = Endpoint(parts.budget, ERROR), UploadLimits.of(parts.settings)

    async def read_and_answer(request: Request, held: HeldBytes) -> Response:
        return await work(request, await read_body(request, limits, held))

    async def answer(request: Request) -> Response:
        return await endpoint.answer(request, read_and_answer)

    router.add_api_route(path, answer, methods=["POST"], **described.of(path))


def _named_in(request: Request, parts: FaceParts) -> NamedModel:
    """The model of the path. Raises ModelNotFound."""
    path = request.path_params
    return find(parts.models.catalogue, path["model"], path.get("version"))
