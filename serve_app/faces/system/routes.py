"""Routes about the system: its models, its health, its metrics, its page and sample frames."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import orjson
from fastapi import APIRouter
from starlette.responses import HTMLResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

import serve_app
from deployments.catalogue import Catalogue
from deployments.errors import ModelNotFound
from serve_app.faces.face import Face
from serve_app.faces.system.model_listing import describe
from serve_app.faces.system.readiness import Signs, readiness
from serve_app.problems import problem
from serve_app.settings import DoorSettings

PAGE_FOLDER = Path(serve_app.__file__).parent / "page"
PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' blob: data:; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",
}


class Applications(Protocol):
    """The applications that are not models, such as the bridge."""

    def unhealthy_applications(self) -> Mapping[str, str]:
        """Name -> why it is not running."""
        ...


@dataclass(frozen=True, slots=True)
class System:
    """What the door can tell about the running system beside its models."""

    applications: Applications

    metrics_text: Callable[[], Awaitable[str]]
    """Prometheus text of the whole cluster."""

    samples_folder: Path
    """Sample frames, as PNG files."""

    signs: Callable[[], Signs] = Signs
    """What was found out in the background."""


class _PageFiles(StaticFiles):
    """Static files of the page, with the headers that keep a page from loading anything from elsewhere."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        response = await super().get_response(path, scope)
        response.headers.update(PAGE_HEADERS)
        return response


def system_face(catalogue: Catalogue, system: System, settings: DoorSettings) -> Face:
    """Models, health, metrics, and the page with its sample frames."""
    router = APIRouter()
    _add_models(router, catalogue, settings)
    _add_health(router, catalogue, system)
    _add_page(router, system)
    samples = StaticFiles(directory=system.samples_folder, check_dir=False)
    return Face(router, mounts={"/static/samples": samples, "/static": _PageFiles(directory=PAGE_FOLDER)})


def _add_models(router: APIRouter, catalogue: Catalogue, settings: DoorSettings) -> None:

    @router.get("/v1/models")
    async def list_models() -> Response:
        models = [describe(record) for record in catalogue.records()]
        return _json({"default_model": settings.default_model, "models": models})

    @router.get("/v1/models/{model}")
    async def show_model(model: str) -> Response:
        try:
            return _json(describe(catalogue.resolve(model)))
        except ModelNotFound as error:
            return problem(error)


def _add_health(router: APIRouter, catalogue: Catalogue, system: System) -> None:
    @router.get("/health/live")
    async def live() -> Response:
        return _json({"status": "live"})

    @router.get("/health/ready")
    async def ready() -> Response:
        records, unhealthy = catalogue.records(), system.applications.unhealthy_applications()
        body = readiness(records, unhealthy, system.signs())
        return _json(body, 503 if body["reasons"] else 200)

    @router.get("/metrics")
    async def metrics() -> Response:
        return Response(await system.metrics_text(), media_type="text/plain; version=0.0.4")


def _add_page(router: APIRouter, system: System) -> None:
    @router.get("/v1/samples")
    async def list_samples() -> Response:
        names = sorted(path.name for path in system.samples_folder.glob("*.png"))
        return _json([{"name": name, "url": f"static/samples/{name}"} for name in names])

    @router.get("/")
    async def page() -> Response:
        # The file stands one folder deeper, under static/, and its base says so.
        text = (PAGE_FOLDER / "index.html").read_text(encoding="utf-8")
        return HTMLResponse(text.replace('<base href="../">', '<base href="./">'), headers=PAGE_HEADERS)


def _json(body: Any, status: int = 200) -> Response:
    return Response(orjson.dumps(body), status, media_type="application/json", headers={"Cache-Control": "no-store"})
