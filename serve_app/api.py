"""The HTTP door as a plain ASGI application: `create_api(core, settings)`. Knows no Ray: it does not matter here
where `predict` runs.

Everything is also reachable under /model/v1, the prefix under which the legacy server was published.
"""

import logging
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from http import HTTPStatus
from typing import Protocol

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from deployments.client.protocols import Predict
from deployments.errors import InternalError
from deployments.logs import OWN_LOGGER
from serve_app.faces.legacy.predictor import Predictor
from serve_app.faces.legacy.segmentation import SAM_PATHS, sam_router
from serve_app.faces.system.routes import PAGE_FOLDER, PAGE_HEADERS, System, system_router
from serve_app.plain_http import PlainHttp, allowed_methods
from serve_app.problems import http_problem, problem, status_problem
from serve_app.settings import DoorSettings
from serve_app.uploads import UploadBudget

logger = logging.getLogger(OWN_LOGGER)

LEGACY_PREFIX = "/model/v1"
PREDICTOR_PATHS = ("/predictor", "/predictor/")
LEGACY_PATHS = frozenset({"/predictor", *SAM_PATHS})
"""Without their trailing slash. Their errors have the members that old clients look for."""

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]


class RequestMeter(Protocol):
    """Counts answered HTTP requests."""

    def answered(self, route: str, status: int) -> None:
        """One request of this route template was answered with this status."""
        ...


def create_api(
    predict: Predict,
    system: System,
    settings: DoorSettings,
    meter: RequestMeter,
    lifespan: Lifespan | None = None,
) -> ASGIApp:
    """The door. lifespan: what to start before the first request and stop after the last."""
    # The interactive pages of FastAPI load scripts from elsewhere, which a ship cannot reach.
    api = FastAPI(
        title="FathomNet model server",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=lifespan,
    )
    budget = UploadBudget(settings.max_held_bytes, settings.max_held_bytes_per_client)
    predictor = Predictor(predict, system.ask_external, system.catalogue, settings, budget)

    async def answer_upload(request: Request) -> Response:
        return await predictor.answer(request)

    # For the description of the API; the requests themselves take the short way.
    for path in PREDICTOR_PATHS:
        api.add_api_route(path, answer_upload, methods=["POST"], response_class=Response, openapi_extra=_FORM)
    api.include_router(sam_router(predictor))
    api.include_router(system_router(system, settings))
    api.mount("/static/samples", StaticFiles(directory=system.samples_folder, check_dir=False))
    api.mount("/static", _Page(directory=PAGE_FOLDER))
    api.add_exception_handler(HTTPException, _on_http_exception)
    api.add_exception_handler(Exception, _on_unexpected)
    shared_with_browsers = CORSMiddleware(
        _ShortWay(answer_upload, api),
        allow_origin_regex=settings.cors_origin_regex,
        allow_methods=["*"],
        allow_headers=["*"],
        allow_private_network=True,
    )
    return PlainHttp(_LegacyPrefix(_Measured(shared_with_browsers, meter)))


_FORM = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": ["file"],
                    "properties": {
                        "file": {"type": "string", "format": "binary"},
                        "model_type": {"type": "string", "description": "name of a model or of a queue"},
                        "score_threshold": {"type": "number", "minimum": 0, "maximum": 1},
                        "iou_threshold": {"type": "number", "minimum": 0, "maximum": 1},
                        "max_detections": {"type": "integer", "minimum": 1, "maximum": 1000},
                        "classes": {"type": "string", "description": "labels to keep, separated by commas"},
                        "tiling": {"type": "string", "description": "'on', 'off' or WIDTHxHEIGHT in pixels"},
                        "tiling_overlap": {"type": "number", "minimum": 0, "maximum": 0.8},
                    },
                }
            }
        },
    }
}


class _Page(StaticFiles):
    """Static files of the page, with the headers that keep a page from loading anything from elsewhere."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers.update(PAGE_HEADERS)
        return response


class _ShortWay:
    """Brings uploads straight to the predict endpoint. The framework's own way there, through a dozen layers
    that this endpoint has no use for, costs more processor time than all else that the door does for it."""

    def __init__(self, answer_upload: Callable[[Request], Awaitable[Response]], api: FastAPI) -> None:
        self._answer_upload = answer_upload
        self._api = api

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "POST" or scope["path"] not in PREDICTOR_PATHS:
            await self._api(scope, receive, send)
            return
        request = Request(scope, receive)
        try:
            response = await self._answer_upload(request)
        except Exception:
            logger.exception("an upload failed unexpectedly")
            response = problem(InternalError("the server failed on this request"), is_legacy=True)
        await response(scope, receive, send)


class _LegacyPrefix:
    """Serves /model/v1/<path> as /<path>."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope.get("path", "")
        if path == LEGACY_PREFIX:
            # Without the slash, the page's relative addresses would lead elsewhere.
            await RedirectResponse(LEGACY_PREFIX.rpartition("/")[2] + "/")(scope, receive, send)
            return
        if path.startswith(LEGACY_PREFIX + "/"):
            scope = {**scope, "path": path.removeprefix(LEGACY_PREFIX)}
            scope.pop("raw_path", None)
        await self._app(scope, receive, send)


class _Measured:
    """Counts answers by route template and status; an unknown path counts as one route."""

    def __init__(self, app: ASGIApp, meter: RequestMeter) -> None:
        self._app = app
        self._meter = meter

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_and_count(message: Message) -> None:
            if message["type"] == "http.response.start":
                route = self._route(scope)
                self._meter.answered(route, message["status"])
            await send(message)

        await self._app(scope, receive, send_and_count)

    @staticmethod
    def _route(scope: Scope) -> str:
        if scope["path"] in PREDICTOR_PATHS:
            return PREDICTOR_PATHS[1]
        route: str = getattr(scope.get("route"), "path", "other")
        return route


async def _on_http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code != HTTPStatus.METHOD_NOT_ALLOWED:
        return http_problem(error, f"{request.method} {request.url.path}: {error.detail}", _is_legacy(request))
    methods = allowed_methods(error)
    if request.method == "OPTIONS":
        return Response(status_code=HTTPStatus.NO_CONTENT, headers={"Allow": methods})
    detail = f"{request.method} {request.url.path}: this path answers to {methods}"
    response = status_problem(error.status_code, detail, _is_legacy(request))
    response.headers["Allow"] = methods
    return response


async def _on_unexpected(request: Request, error: Exception) -> Response:
    del error  # Starlette logs it with its traceback; the asker gets no details.
    return problem(InternalError("the server failed on this request"), _is_legacy(request))


def _is_legacy(request: Request) -> bool:
    return request.scope["path"].rstrip("/") in LEGACY_PATHS


def when_started(start: Callable[[], Awaitable[None]], stop: Callable[[], Awaitable[None]]) -> Lifespan:
    """A lifespan that awaits `start` before the first request and `stop` after the last."""

    @asynccontextmanager
    async def lifespan(api: FastAPI):  # type: ignore[no-untyped-def]
        del api
        await start()
        yield
        await stop()

    return lifespan
