"""The gRPC server of the door. It runs in the door's event loop."""

import re
import uuid
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import unquote

import grpc
from starlette.types import ASGIApp, Scope

from serve_app.faces.open_inference.grpc.calls import Calls, Knows, everybody
from serve_app.faces.open_inference.grpc.in_process import Headers, scope_of
from serve_app.faces.open_inference.grpc.limits import STOP_GRACE_S, Limits
from serve_app.faces.open_inference.grpc.rpcs import RPCS, SERVICE, Rpc
from serve_app.http.origins import id_of

Context = Any
"""A `grpc.aio.ServicerContext`; the package comes without types."""

REQUEST_ID = "x-request-id"
_READ_METADATA = ("authorization", "x-api-key", REQUEST_ID, "traceparent")
"""What a client sends beside its message; nothing else of it is looked at."""

_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
"""As HAProxy keeps them."""

_MAX_SENTENCE_CHARACTERS = 600
"""Clients take 8 KiB of metadata in all, of which one letter may need twelve bytes."""

_NO_STREAM = (
    "ModelStreamInfer is not answered, as no model here answers more than once; call ModelInfer, several times at "
    "once if you like"
)


class GrpcServer:
    """app: the door.  knows: whether a request shows a key that counts, where keys are asked for."""

    def __init__(self, app: ASGIApp, limits: Limits, knows: Knows = everybody) -> None:
        self._limits = limits
        self._calls = Calls(app, limits, knows)
        self._server: Any = None

    async def start(self, host: str, port: int) -> int:
        """Listens; returns the port, which is a free one for 0. Raises OSError where it cannot."""
        limits = self._limits
        server = grpc.aio.server(options=limits.options(), maximum_concurrent_rpcs=limits.max_calls)
        # To gRPC each call has a stream of messages, of which one is read: single ones it takes in by itself, before
        # anybody can say whether there is room.
        handlers = {name: grpc.stream_unary_rpc_method_handler(self._handler(rpc)) for name, rpc in RPCS.items()}
        handlers["ModelStreamInfer"] = grpc.stream_stream_rpc_method_handler(_refuse_stream)
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
        address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        try:
            bound: int = server.add_insecure_port(address)
        except RuntimeError as error:
            raise OSError(f"gRPC cannot listen on {address}: {error}") from None
        await server.start()
        self._server = server
        return bound

    async def stop(self, grace_s: float = STOP_GRACE_S) -> None:
        """Takes no more calls. Returns when those under way have ended; after their grace they are cancelled."""
        if self._server is not None:
            await self._server.stop(grace_s)

    def _handler(self, rpc: Rpc) -> Callable[[Any, Context], Awaitable[bytes]]:
        async def answer(messages: Any, context: Context) -> bytes:
            del messages
            scope = _scope(context)
            answered = await self._calls.answer(rpc, scope, context.read)
            metadata = ((REQUEST_ID, id_of(scope)), *answered.metadata.items())
            if answered.status is not grpc.StatusCode.OK:
                await context.abort(answered.status, answered.sentence[:_MAX_SENTENCE_CHARACTERS], metadata)
            context.set_trailing_metadata(metadata)
            return answered.message

        return answer


async def _refuse_stream(messages: Any, context: Context) -> None:
    del messages
    await context.abort(grpc.StatusCode.UNIMPLEMENTED, _NO_STREAM)


def _scope(context: Context) -> Scope:
    """Who asks. A call gets an id where its client gave none that is kept, as a request over HTTP does."""
    headers: Headers = [
        (name.encode(), value if isinstance(value, bytes) else value.encode("latin-1", "replace"))
        for name, value in context.invocation_metadata()
        if name in _READ_METADATA
    ]
    if _ID.fullmatch(id_of({"headers": headers})) is None:
        headers = [(name, value) for name, value in headers if name != REQUEST_ID.encode()]
        headers.append((REQUEST_ID.encode(), str(uuid.uuid4()).encode()))
    return scope_of(headers, client_of(context.peer()))


def client_of(peer: str) -> tuple[str, int]:
    """Address and port, of `ipv4:127.0.0.1:1234` or `ipv6:%5B::1%5D:1234`."""
    _, _, address = unquote(peer).partition(":")
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port) if port.isdecimal() else 0
