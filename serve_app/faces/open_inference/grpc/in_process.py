"""Asks the door itself, without a connection: its ASGI application, as a server of HTTP would call it."""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from starlette.types import ASGIApp, Message, Scope

from deployments.errors import InternalError, ServingError
from deployments.logs import OWN_LOGGER

logger = logging.getLogger(OWN_LOGGER)

Headers = list[tuple[bytes, bytes]]


@dataclass(frozen=True, slots=True)
class HttpCall:
    """A request. fault: what is raised where its body would be read, so that it is answered and counted as any other
    that cannot be read."""

    method: str
    path: str
    body: "deque[bytes]" = field(default_factory=deque)
    headers: Headers = field(default_factory=list)
    fault: ServingError | None = None


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """What came back; names of headers in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


@dataclass(slots=True)
class _Answering:
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    parts: list[bytes] = field(default_factory=list)

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in message["headers"]}
        elif message["type"] == "http.response.body":
            self.parts.append(message.get("body", b""))


async def ask(app: ASGIApp, scope: Scope, call: HttpCall, handed_over: Callable[[], Awaitable[None]]) -> HttpAnswer:
    """The answer. scope: who asks, from `scope_of`. handed_over: awaited when the last of the body was taken. Raises
    InternalError where there is no answer; the log then has why."""

    async def receive() -> Message:
        if call.fault is not None:
            raise call.fault
        part = call.body.popleft() if call.body else b""
        if not call.body:
            if is_over.is_set():
                await asyncio.Event().wait()  # the client is there until the call is cancelled
            is_over.set()
            await handed_over()
        return {"type": "http.request", "body": part, "more_body": bool(call.body)}

    is_over = asyncio.Event()
    answering = _Answering()
    asked = {**scope, "method": call.method, "path": call.path, "headers": [*scope["headers"], *call.headers]}
    try:
        await app(asked, receive, answering.send)
    except Exception:
        # The door answers its own faults, and raises them again for the log of whoever serves it.
        logger.exception("a call over gRPC failed")
    if not answering.status:
        raise InternalError("the server failed on this request")
    return HttpAnswer(answering.status, answering.headers, b"".join(answering.parts))


def scope_of(headers: Headers, client: tuple[str, int]) -> Scope:
    """What is known of a request before its path: the members of ASGI's scope."""
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "2",
        "scheme": "http",
        "root_path": "",
        "query_string": b"",
        "headers": headers,
        "client": client,
        "server": None,
    }
