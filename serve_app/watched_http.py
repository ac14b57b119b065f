"""Logs the requests of the HTTP door and traces its uploads, where the environment asks for it; elsewhere it is not
in the way."""

import time
from collections.abc import Callable
from dataclasses import dataclass

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from deployments.origin import Origin
from deployments.watching.watch import Watch
from serve_app.access.guard import KEY_NAME
from serve_app.access.routes import RouteTable
from serve_app.http.origins import TRACEPARENT, id_of

FAILED = 500
"""The status of a request that was never answered."""


@dataclass(slots=True)
class _Traffic:
    """What one request moved. Sizes are those of the bodies."""

    status: int = FAILED
    bytes_in: int = 0
    bytes_out: int = 0


class WatchedHttp:
    """route_of: the template of the route that a request took, known once it was answered."""

    def __init__(self, app: ASGIApp, watch: Watch, route_of: Callable[[Scope], str]) -> None:
        self._app = app
        self._watch = watch
        self._route_of = route_of
        self._routes = RouteTable()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: D102
        if scope["type"] != "http" or not self._is_watched(scope):
            await self._app(scope, receive, send)
            return
        began_at_s = time.monotonic()
        origin = Origin(id_of(scope))
        is_upload = scope["method"] == "POST"
        span = self._watch.begin("POST", _traceparent(scope), origin) if is_upload else None
        scope[TRACEPARENT] = self._watch.traceparent_of(span)
        traffic = _Traffic()
        try:
            await self._app(scope, _counting(receive, traffic), _noting(send, traffic))
        finally:
            route = self._route_of(scope)
            if self._watch.log_requests:
                self._log(scope, route, traffic, time.monotonic() - began_at_s)
            if span is not None:
                status = traffic.status
                span.update_name(f"POST {route}")
                self._watch.end(
                    span,
                    {"http.request.method": "POST", "http.route": route, "http.response.status_code": status},
                    str(status) if status >= FAILED else "",
                )

    def _is_watched(self, scope: Scope) -> bool:
        """What is read and is open to all is no work: the page, and health, which is asked for every few seconds."""
        if scope["method"] == "POST":
            return True
        if not self._watch.log_requests or scope["method"] == "OPTIONS":
            return False
        route = self._routes.of(scope["path"])
        return route is None or route.scope is not None

    def _log(self, scope: Scope, route: str, traffic: _Traffic, seconds: float) -> None:
        """One line, of the template of the route and never of its address or its query, which hold what clients
        say."""
        method, status = scope["method"], traffic.status
        client = scope.get("client")
        members: dict[str, str | int | float] = {
            "method": method,
            "route": route,
            "status": status,
            "seconds": seconds,
            "bytes_in": traffic.bytes_in,
            "bytes_out": traffic.bytes_out,
            "client": client[0] if client else "",
            "key": scope.get(KEY_NAME, ""),
        }
        self._watch.line(f"{method} {route} {status} in {seconds:.4f} s", Origin(id_of(scope)), **members)


def _counting(receive: Receive, traffic: _Traffic) -> Receive:
    async def receive_and_count() -> Message:
        message = await receive()
        traffic.bytes_in += len(message.get("body", b""))
        return message

    return receive_and_count


def _noting(send: Send, traffic: _Traffic) -> Send:
    async def send_and_note(message: Message) -> None:
        if message["type"] == "http.response.start":
            traffic.status = message["status"]
        traffic.bytes_out += len(message.get("body", b""))
        await send(message)

    return send_and_note


def _traceparent(scope: Scope) -> str | None:
    """What the client sent, as text; whether it is well formed is seen by whoever continues the trace."""
    value = next((value for name, value in scope["headers"] if name == b"traceparent"), None)
    return None if value is None else value.decode("latin-1")
