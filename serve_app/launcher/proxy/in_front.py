"""What stands before Ray's own proxy where HAProxy does not: clients cannot steer Ray, and Ray's answers in plain
text become problem documents. Ray finds `middlewares` by the variable `RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH`.

The same as `haproxy_config.py` says in HAProxy's language, except for connections, which cannot be seen here.
"""

import re

from starlette.middleware import Middleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http import auto
from uvicorn.protocols.http.h11_impl import H11Protocol

from serve_app.launcher.proxy.haproxy_answers import ANSWERS, response_of

IMPORT_PATH = f"{__name__}:middlewares"

_STEERING = re.compile(
    rb"x-request-timeout-seconds|x-request-disconnect-disabled|serve[-_]multiplexed[-_]model[-_]id|"
    rb"x[-_]session[-_]id|x-serve-router-.*"
)
_REQUEST_ID = b"x-request-id"
_PLAIN_REQUEST_ID = re.compile(rb"[A-Za-z0-9._:-]{1,128}")

_RAYS_OWN_PATHS = "/-/"
_SHOWN = {404: 503, 408: 504, 500: 500, 503: 503, 504: 504}
"""By the status of Ray's own answer: its 404 says that the door is not there yet, as the door answers every path."""


def middlewares() -> list[Middleware]:
    """What Ray puts before its proxy. It asks for it before it starts the server. Of the two parsers that this may
    have, httptools drops the body of a request that offers HTTP/2, as Java's HttpClient does by default; h11 does
    not."""
    auto.AutoHTTPProtocol = H11Protocol
    return [Middleware(InFront)]


class InFront:
    """Drops headers that clients may not send, and replaces answers that are not meant for clients."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: D102
        if scope["type"] == "http":
            scope = {**scope, "headers": _kept_headers(scope["headers"])}
            if not scope["path"].startswith(_RAYS_OWN_PATHS):
                send = _in_our_words(scope, receive, send)
        await self._app(scope, receive, send)


def _kept_headers(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    ids = [value for name, value in headers if name == _REQUEST_ID]
    keeps_id = len(ids) == 1 and _PLAIN_REQUEST_ID.fullmatch(ids[0]) is not None
    return [
        (name, value)
        for name, value in headers
        if not _STEERING.fullmatch(name) and (name != _REQUEST_ID or keeps_id)
    ]


def _in_our_words(scope: Scope, receive: Receive, send: Send) -> Send:
    is_replaced = False

    async def send_ours(message: Message) -> None:
        nonlocal is_replaced
        if message["type"] == "http.response.start":
            shown = _SHOWN.get(message["status"])
            content_type = dict(message["headers"]).get(b"content-type", b"")
            is_replaced = shown is not None and content_type.startswith(b"text/plain")
            if is_replaced and shown is not None:
                await response_of(ANSWERS[shown])(scope, receive, send)
        if not is_replaced:
            await send(message)

    return send_ours
