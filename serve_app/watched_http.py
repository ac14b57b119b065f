"""Logs and traces the uploads of the HTTP door, where the environment asks for it; elsewhere it is not in the way."""

import time
from collections.abc import Callable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from deployments.origin import Origin
from deployments.watching.watch import Watch
from serve_app.origins import TRACEPARENT, id_of

FAILED = 500
"""The status of a request that was never answered."""


class WatchedHttp:
    """route_of: the template of the route that a request took, known once it was answered."""

    def __init__(self, app: ASGIApp, watch: Watch, route_of: Callable[[Scope], str]) -> None:
        self._app = app
        self._watch = watch
        self._route_of = route_of

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: D102
        # What is asked by GET is no work: the page, health, metrics.
        if scope["type"] != "http" or scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        began_at_s = time.monotonic()
        origin = Origin(id_of(scope))
        span = self._watch.begin("POST", _traceparent(scope), origin)
        scope[TRACEPARENT] = self._watch.traceparent_of(span)
        status = FAILED

        async def send_and_note(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, send_and_note)
        finally:
            route = self._route_of(scope)
            if self._watch.log_requests:
                seconds = time.monotonic() - began_at_s
                text = f"POST {route} {status} in {seconds:.4f} s"
                self._watch.line(text, origin, route=route, status=status, seconds=seconds)
            if span is not None:
                span.update_name(f"POST {route}")
                self._watch.end(
                    span,
                    {"http.request.method": "POST", "http.route": route, "http.response.status_code": status},
                    str(status) if status >= FAILED else "",
                )


def _traceparent(scope: Scope) -> str | None:
    """What the client sent, as text; whether it is well formed is seen by whoever continues the trace."""
    value = next((value for name, value in scope["headers"] if name == b"traceparent"), None)
    return None if value is None else value.decode("latin-1")
