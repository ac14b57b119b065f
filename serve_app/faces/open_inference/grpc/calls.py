"""One call, from its message to its answer, by way of the door itself."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from http import HTTPStatus

import orjson
from google.protobuf.message import DecodeError
from grpc import StatusCode
from starlette.types import ASGIApp, Scope

from deployments.errors import DeadlineExceeded, InternalError, InvalidRequest, ServingError
from deployments.logs import OWN_LOGGER
from serve_app.faces.open_inference.grpc.in_process import HttpAnswer, HttpCall, ask
from serve_app.faces.open_inference.grpc.limits import Limits
from serve_app.faces.open_inference.grpc.places import ArrivalPlaces
from serve_app.faces.open_inference.grpc.requests import UNREAD
from serve_app.faces.open_inference.grpc.rpcs import Rpc
from serve_app.faces.open_inference.grpc.statuses import STATUS, status_of

logger = logging.getLogger(OWN_LOGGER)

Knows = Callable[[Scope], Awaitable[bool]]
"""Whether a request shows a key that counts. What that key may do is decided by the door itself."""

Read = Callable[[], Awaitable[object]]
"""The message of the call, as bytes; anything else where it has none."""

_TOLD_HEADERS = ("retry-after", "www-authenticate")
"""Of an answer of HTTP, what clients find in the metadata after the answer."""

_IN_THREAD_FROM_BYTES = 2**18


async def everybody(scope: Scope) -> bool:
    """Where there are no keys."""
    del scope
    return True


@dataclass(frozen=True, slots=True)
class RpcAnswer:
    """message: as it is written.  sentence: what went wrong; '' for nothing.  metadata: beside it."""

    message: bytes = b""
    status: StatusCode = StatusCode.OK
    sentence: str = ""
    metadata: Mapping[str, str] = field(default_factory=dict)


class Calls:
    """app: the door.  knows: asked before a message is taken in, so that strangers cannot fill the memory."""

    def __init__(self, app: ASGIApp, limits: Limits, knows: Knows) -> None:
        self._app = app
        self._knows = knows
        self._limits = limits
        self._places = ArrivalPlaces(limits.places, limits.places_per_client)
        # While a large message is read there are several copies of it.
        self._one_at_a_time = asyncio.Lock()

    async def answer(self, rpc: Rpc, scope: Scope, read: Read) -> RpcAnswer:
        """What is answered; errors too. scope: who asks. Cancelling ends the request to the door."""
        try:
            return await _answered(rpc, await self._ask(rpc, scope, read))
        except ServingError as error:
            return RpcAnswer(status=STATUS[type(error)], sentence=error.message)
        except Exception:
            logger.exception("a call over gRPC failed")
            return RpcAnswer(status=STATUS[InternalError], sentence="the server failed on this request")

    async def _ask(self, rpc: Rpc, scope: Scope, read: Read) -> HttpAnswer:
        async with AsyncExitStack() as place:
            if rpc.is_empty:
                call = rpc.call(None)
            elif not await self._knows(scope):
                call = HttpCall("POST", UNREAD)  # which the door refuses in its own words
            else:
                await place.enter_async_context(self._places.taken(scope["client"][0]))
                call = await self._call(rpc, await self._message(read))
            return await ask(self._app, scope, call, place.aclose)

    async def _message(self, read: Read) -> bytes:
        try:
            async with asyncio.timeout(self._limits.message_s):
                message = await read()
        except TimeoutError:
            raise DeadlineExceeded(f"the message had not arrived after {self._limits.message_s:g} s") from None
        if not isinstance(message, bytes):
            raise InvalidRequest("the call has no message")
        return message

    async def _call(self, rpc: Rpc, message: bytes) -> HttpCall:
        if len(message) < _IN_THREAD_FROM_BYTES:
            return _call_of(rpc, message)
        async with self._one_at_a_time:
            work = asyncio.create_task(asyncio.to_thread(_call_of, rpc, message))
            try:
                return await asyncio.shield(work)
            except asyncio.CancelledError:
                await asyncio.wait({work})  # the thread goes on, and has its copies until then
                raise


def _call_of(rpc: Rpc, message: bytes) -> HttpCall:
    try:
        rpc.check(message)
        return rpc.call(rpc.request.FromString(message))
    except DecodeError:
        name = rpc.request.DESCRIPTOR.name
        return HttpCall("POST", UNREAD, fault=InvalidRequest(f"the message is not a {name}"))
    except ServingError as error:
        return HttpCall("POST", UNREAD, fault=error)


async def _answered(rpc: Rpc, answer: HttpAnswer) -> RpcAnswer:
    if answer.status == HTTPStatus.OK:
        if len(answer.body) < _IN_THREAD_FROM_BYTES:
            return RpcAnswer(rpc.answer(answer))
        return RpcAnswer(await asyncio.to_thread(rpc.answer, answer))
    problem = orjson.loads(answer.body)
    if (no := rpc.no.get(problem.get("code", ""))) is not None:
        return RpcAnswer(no)
    metadata = {name: answer.headers[name] for name in _TOLD_HEADERS if name in answer.headers}
    return RpcAnswer(b"", status_of(answer.status, problem.get("code", "")), problem["detail"], metadata)
