"""Health under the names that other servers of this kind use, for probes that are set up already."""

from collections.abc import Callable
from typing import Any

import orjson
from fastapi import APIRouter
from starlette.responses import Response

from serve_app.http.openapi_parts import Described, answers, ref

LIVE: dict[str, dict[str, Any]] = {
    "/health/live": {"status": "live"},
    "/livez": {"status": "live"},
    "/healthz": {"status": "live"},
    "/health": {"status": "ok"},
}
"""Path -> what it answers while the door itself does."""

READY = ("/health/ready", "/readyz")

_ALIVE: Described = {200: answers("The door answers.", {"type": "object"})}
_READINESS: Described = {
    200: answers("A request would be answered now.", ref("Readiness")),
    503: answers("Why not.", ref("Readiness")),
}
_UP: Described = {status: answers(text, ref("Up")) for status, text in ((200, "Ready"), (503, "Not ready"))}


def add_health(router: APIRouter, readiness: Callable[[], dict[str, Any]]) -> None:
    """readiness: the body of /health/ready."""
    for path, body in LIVE.items():
        _add_live(router, path, body)
    for path in READY:

        @router.get(path, summary="Whether a request would be answered now", responses=_READINESS)
        async def ready() -> Response:
            body = readiness()
            return json_response(body, 503 if body["reasons"] else 200)

    @router.get("/q/health", summary="The same as /health/ready, as Quarkus says it", responses=_UP)
    async def up() -> Response:
        is_up = not readiness()["reasons"]
        return json_response({"status": "UP" if is_up else "DOWN", "checks": []}, 200 if is_up else 503)


def _add_live(router: APIRouter, path: str, body: dict[str, Any]) -> None:
    @router.get(path, summary="Whether the door itself answers", responses=_ALIVE)
    async def live() -> Response:
        return json_response(body)


def json_response(body: Any, status: int = 200) -> Response:
    """JSON that nobody keeps."""
    return Response(orjson.dumps(body), status, media_type="application/json", headers={"Cache-Control": "no-store"})
