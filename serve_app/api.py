"""The HTTP door as a plain ASGI application: mounts the faces, and does what they all need.

Everything is also reachable under /model/v1, the prefix under which the legacy server was published.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Protocol

from fastapi import FastAPI
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from deployments.byte_budget import ByteBudget
from deployments.errors import InternalError
from deployments.watching.watch import Watch, current
from serve_app.access.guard import KEY_NAME, Access, Guard
from serve_app.api_document import describe_api
from serve_app.direct_routes import DirectRoutes, ShortWay
from serve_app.faces.admin.changes import ChangeModels, nobody_changes
from serve_app.faces.admin.routes import admin_face
from serve_app.faces.face import Face, FaceParts, ModelAccess
from serve_app.faces.legacy.routes import legacy_face
from serve_app.faces.system.routes import System, system_face
from serve_app.faces.system.system_report import DoorWork
from serve_app.faces.table import chosen_faces
from serve_app.faces.v1.routes import v1_face
from serve_app.fetching.fetcher import ImageFetcher
from serve_app.http.plain_errors import ProblemDocuments, ProblemTypes
from serve_app.http.plain_http import PlainHttp, allowed_methods
from serve_app.http.problems import NO_MEMBERS, http_problem, problem, status_problem
from serve_app.http.security_headers import HEADERS, secure
from serve_app.settings import DoorSettings
from serve_app.watched_http import WatchedHttp

LEGACY_PREFIX = "/model/v1"

Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]


READABLE_HEADERS = ("Retry-After", "Server-Timing", "WWW-Authenticate", "X-Request-ID")
"""What a page of another origin may read of an answer beside its body."""


@dataclass(frozen=True, slots=True)
class Entrance:
    """What is before the faces."""

    lifespan: Lifespan | None = None
    """What to start before the first request and stop after the last."""

    access: Access | None = None
    """Who may call; None for everybody."""

    change: ChangeModels = nobody_changes
    """Adds and removes models, for a key with the scope admin."""


class RequestMeter(Protocol):
    """Counts answered HTTP requests."""

    def answered(self, route: str, status: int) -> None:
        """One request of this route template was answered with this status."""
        ...


def create_api(
    models: ModelAccess,
    system: System,
    settings: DoorSettings,
    meter: RequestMeter,
    entrance: Entrance = Entrance(),
) -> ASGIApp:
    """The door."""
    budget = ByteBudget(settings.max_held_bytes, "memory for uploads", settings.max_held_bytes_per_client)
    fetcher = ImageFetcher.of(settings.fetch_hosts, settings.max_upload_bytes, settings.fetch_timeout_s)
    parts = FaceParts(models, settings, budget, fetcher, lambda request: str(request.scope.get(KEY_NAME, "")))
    faces = [
        legacy_face(models, settings, budget),
        v1_face(parts),
        system_face(models.catalogue, system, settings, DoorWork(models.activity, budget)),
        admin_face(parts, entrance.change),
        *chosen_faces(parts),
    ]
    # The interactive pages of FastAPI load scripts from elsewhere, which a ship cannot reach.
    api = FastAPI(
        title="FathomNet model server",
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=_with_faces(entrance.lifespan, faces),
    )
    for face in faces:
        api.include_router(face.router)
        for prefix, app in face.mounts.items():
            api.mount(prefix, app)
    describe_api(api, faces)
    errors = _Errors(faces)
    api.add_exception_handler(HTTPException, errors.on_http_exception)
    api.add_exception_handler(Exception, errors.on_unexpected)
    direct = DirectRoutes(faces)
    answering: ASGIApp = ShortWay(direct, api, errors.on_unexpected)
    if entrance.access is not None:
        answering = Guard(answering, entrance.access, errors.members_of)
    # Outside the guard: a browser's preflight request has no key, and its page must be able to read a refusal.
    shared_with_browsers = CORSMiddleware(
        answering,
        allow_origins=settings.cors_origins,
        allow_origin_regex=settings.cors_origin_regex,
        allow_methods=["*"],
        allow_headers=["*"],
        expose_headers=READABLE_HEADERS,
        allow_private_network=True,
    )
    documented = ProblemDocuments(shared_with_browsers, errors.members_of)
    typed = ProblemTypes(documented, {f"{face.prefix}/": face.problem_type for face in faces if face.prefix})
    return PlainHttp(_LegacyPrefix(_Measured(typed, meter, direct, current())))


class _LegacyPrefix:
    """Serves /model/v1/<path> as /<path>."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope.get("path", "")
        if path == LEGACY_PREFIX:
            # Without the slash, the page's relative addresses would lead elsewhere.
            place = LEGACY_PREFIX.rpartition("/")[2] + "/"
            await RedirectResponse(place, headers=HEADERS)(scope, receive, send)
            return
        if path.startswith(LEGACY_PREFIX + "/"):
            scope = {**scope, "path": path.removeprefix(LEGACY_PREFIX)}
            scope.pop("raw_path", None)
        await self._app(scope, receive, send)


class _Measured:
    """Counts answers by route template and status, and puts the headers on them that each has; an unknown path counts
    as one route.

    watch: None, and then nothing is in the way of a request, where they are neither logged nor traced.
    """

    def __init__(self, app: ASGIApp, meter: RequestMeter, direct: DirectRoutes, watch: Watch | None) -> None:
        self._app = app if watch is None else WatchedHttp(app, watch, self._route)
        self._meter = meter
        # What takes the short way passes no router that would note its route.
        self._direct = direct

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_and_count(message: Message) -> None:
            if message["type"] == "http.response.start":
                route = self._route(scope)
                self._meter.answered(route, message["status"])
                secure(message, scope.get("scheme") == "https")
            await send(message)

        await self._app(scope, receive, send_and_count)

    def _route(self, scope: Scope) -> str:
        if (found := self._direct.find(scope["path"])) is not None:
            return found[0].label
        route: str = getattr(scope.get("route"), "path", "other")
        return route


class _Errors:
    """Answers what no endpoint has answered, with the members that clients of the path's face look for."""

    def __init__(self, faces: Sequence[Face]) -> None:
        self._members = {path: face.problem_members for face in faces for path in face.paths()}
        self._routes = [route for face in faces for route in face.router.routes if isinstance(route, APIRoute)]
        self._below = [(f"{face.prefix}/", face.problem_members) for face in faces if face.prefix]

    async def on_http_exception(self, request: Request, error: Exception) -> Response:
        """A path or a method that is not there, and the like."""
        assert isinstance(error, HTTPException)
        beside = self._beside(request)
        if error.status_code != HTTPStatus.METHOD_NOT_ALLOWED:
            return http_problem(error, f"{request.method} {request.url.path}: {error.detail}", beside)
        methods = allowed_methods(error, self._methods_of(request.scope["path"]))
        if request.method == "OPTIONS":
            return Response(status_code=HTTPStatus.NO_CONTENT, headers={"Allow": methods})
        detail = f"{request.method} {request.url.path}: this path answers to {methods}"
        response = status_problem(error.status_code, detail, beside)
        response.headers["Allow"] = methods
        return response

    async def on_unexpected(self, request: Request, error: Exception) -> Response:
        """A fault of ours. It has been logged with its traceback; the client gets no details."""
        del error
        return problem(InternalError("the server failed on this request"), self._beside(request))

    def members_of(self, path: str) -> Mapping[str, Any]:
        """What clients of `path` look for beside a problem's own members."""
        if (exact := self._members.get(path.rstrip("/"))) is not None:
            return exact
        return next((members for prefix, members in self._below if path.startswith(prefix)), NO_MEMBERS)

    def _methods_of(self, path: str) -> set[str]:
        """Of all routes of a path: the router itself names those of the first, and faces may share a path."""
        matching = (route.methods or () for route in self._routes if route.path_regex.match(path))
        return {method for methods in matching for method in methods}

    def _beside(self, request: Request) -> Mapping[str, Any]:
        return self.members_of(request.scope["path"])


def _with_faces(lifespan: Lifespan | None, faces: Sequence[Face]) -> Lifespan:
    """`lifespan`, at whose end the faces finish first."""

    @asynccontextmanager
    async def whole(api: FastAPI) -> AsyncIterator[None]:
        async with nullcontext() if lifespan is None else lifespan(api):
            yield
            for face in faces:
                if face.finish is not None:
                    await face.finish()

    return whole


def when_started(start: Callable[[], Awaitable[None]], stop: Callable[[], Awaitable[None]]) -> Lifespan:
    """A lifespan that awaits `start` before the first request and `stop` after the last."""

    @asynccontextmanager
    async def lifespan(api: FastAPI):  # type: ignore[no-untyped-def]
        del api
        await start()
        yield
        await stop()

    return lifespan
