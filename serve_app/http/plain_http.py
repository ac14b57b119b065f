"""What any HTTP server owes its clients, whatever the routes are: HEAD, OPTIONS, the allowed methods of a path, and
paths with doubled slashes."""

import re
from collections.abc import Iterable

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_SLASHES = re.compile("/{2,}")


class PlainHttp:
    """Answers HEAD as GET without the body, and `//predictor/` as `/predictor/`: old clients join a base that ends
    with a slash and a path that begins with one, and cannot follow a redirect."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: D102
        if scope["type"] == "http":
            if "//" in scope["path"]:
                scope = {**scope, "path": _SLASHES.sub("/", scope["path"])}
                scope.pop("raw_path", None)
            if scope["method"] == "HEAD":
                scope = {**scope, "method": "GET"}
                send = _without_body(send)
        await self._app(scope, receive, send)


def _without_body(send: Send) -> Send:
    async def send_head(message: Message) -> None:
        if message["type"] == "http.response.body":
            message = {**message, "body": b""}
        await send(message)

    return send_head


def allowed_methods(error: HTTPException, routed: Iterable[str]) -> str:
    """What a path answers to, for the header Allow, where `error` is a 405 of the router or of static files. routed:
    methods of all its routes."""
    methods = {"OPTIONS", *((error.headers or {}).get("Allow", "GET").split(", ")), *routed}
    return ", ".join(sorted(methods | {"HEAD"} if "GET" in methods else methods))
