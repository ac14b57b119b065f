"""Routes about the system: its models, its health, its metrics, its page and sample frames."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from fastapi import APIRouter
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

import serve_app
from deployments.catalogue import Catalogue
from deployments.errors import ModelNotFound, ModelUnavailable
from serve_app.faces.face import Face
from serve_app.faces.system.described import SCHEMAS
from serve_app.faces.system.health import add_health, json_response
from serve_app.faces.system.model_listing import describe
from serve_app.faces.system.readiness import Signs, readiness
from serve_app.faces.system.system_report import DoorWork, system_report
from serve_app.faces.system.viewer import PAGE_FOLDER as VIEWER_FOLDER
from serve_app.faces.system.viewer import add_viewer, swagger_folder
from serve_app.http.openapi_parts import answers, problems, ref
from serve_app.http.problems import problem
from serve_app.settings import DoorSettings

PAGE_FOLDER = Path(serve_app.__file__).parent / "page"
PAGE_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' blob: data:; frame-ancestors 'none'",
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


def system_face(catalogue: Catalogue, system: System, settings: DoorSettings, work: DoorWork) -> Face:
    """Models, health, metrics, and the pages with their files. work: what this door has in work."""
    router = APIRouter(tags=["system"])
    _add_models(router, catalogue, settings)
    _add_state(router, catalogue, system, work)
    _add_page(router, system)
    add_viewer(router)
    mounts = {
        "/static/samples": StaticFiles(directory=system.samples_folder, check_dir=False),
        "/static": _PageFiles(directory=PAGE_FOLDER),
        "/docs/swagger": _PageFiles(directory=swagger_folder()),
        "/docs": _PageFiles(directory=VIEWER_FOLDER),
    }
    return Face(router, mounts=mounts, schemas=SCHEMAS)


def _add_models(router: APIRouter, catalogue: Catalogue, settings: DoorSettings) -> None:
    @router.get(
        "/v1/models",
        summary="All models",
        responses={200: answers("Their definitions, states and knobs", ref("Models"))},
    )
    async def list_models() -> Response:
        models = [describe(record) for record in catalogue.records()]
        return json_response({"default_model": settings.default_model, "models": models})

    @router.get(
        "/v1/models/{model}",
        summary="One model, by its name or the name of one of its queues",
        responses={200: answers("Its definition, state and knobs", ref("Model")), **problems(404)},
    )
    async def show_model(model: str) -> Response:
        try:
            return json_response(describe(catalogue.resolve(model)))
        except ModelNotFound as error:
            return problem(error)


def _add_state(router: APIRouter, catalogue: Catalogue, system: System, work: DoorWork) -> None:
    def readiness_now() -> dict[str, Any]:
        unhealthy = system.applications.unhealthy_applications()
        return readiness(catalogue.records(), unhealthy, system.signs())

    add_health(router, readiness_now)

    @router.get(
        "/v1/models/{model}/ready",
        summary="Whether a request to this model would be answered now",
        responses={
            200: answers("It would; one that is asleep is woken by it", ref("ModelReady")),
            **problems(404, 503),
        },
    )
    async def model_ready(model: str) -> Response:
        try:
            record = catalogue.resolve(model)
        except ModelNotFound as error:
            return problem(error)
        silent = system.signs().silent_models.get(record.name)
        if silent is not None or not record.can_answer:
            return problem(ModelUnavailable(f"model {record.name}: {silent}") if silent else record.unavailable())
        return json_response({"name": record.name, "state": record.state.value, "ready": True})

    @router.get(
        "/v1/system",
        summary="Models and replicas, what they are asked, and the last errors",
        responses={200: answers("As this door knows it; with several doors each speaks for itself", ref("System"))},
    )
    async def show_system() -> Response:
        unhealthy = system.applications.unhealthy_applications()
        return json_response(system_report(catalogue.records(), unhealthy, system.signs(), work))

    @router.get(
        "/metrics",
        summary="Prometheus text of the whole system",
        response_class=PlainTextResponse,
    )
    async def metrics() -> Response:
        return Response(await system.metrics_text(), media_type="text/plain; version=0.0.4")


def _add_page(router: APIRouter, system: System) -> None:
    @router.get(
        "/v1/samples",
        summary="The shipped sample frames",
        responses={200: answers("Their names and addresses, relative to the root", ref("Samples"))},
    )
    async def list_samples() -> Response:
        names = sorted(path.name for path in system.samples_folder.glob("*.png"))
        return json_response([{"name": name, "url": f"static/samples/{name}"} for name in names])

    @router.get("/", summary="The page for people", response_class=HTMLResponse)
    async def page() -> Response:
        # The file stands one folder deeper, under static/, and its base says so.
        text = (PAGE_FOLDER / "index.html").read_text(encoding="utf-8")
        return HTMLResponse(text.replace('<base href="../">', '<base href="./">'), headers=PAGE_HEADERS)
