"""One keep-alive connection of the load generator. Knows bytes and its owner; no clock and no statistics."""

import asyncio
from typing import Protocol, cast

from benchmarks.load.http_wire import Answer, AnswerReader, BrokenAnswer


class Owner(Protocol):
    """Who decides what a connection does next. Called from the event loop, never re-entered."""

    def answered(self, connection: "Connection", answer: Answer) -> None:
        """The request under way has its answer."""
        ...

    def failed(self, connection: "Connection", is_broken: bool) -> None:
        """The connection ended with a request under way, or sent what is not an answer; it is to be aborted."""
        ...


class Connection(asyncio.Protocol):
    """Sends one request at a time. since_s: when the request under way began to count; None when idle."""

    __slots__ = ("_is_usable", "_owner", "_reader", "_transport", "since_s")

    def __init__(self, owner: Owner) -> None:
        self._owner = owner
        self._reader = AnswerReader()
        self._transport: asyncio.Transport | None = None
        self._is_usable = False
        self.since_s: float | None = None

    @property
    def is_usable(self) -> bool:
        """Whether another request may be sent on it."""
        return self._is_usable

    def send(self, request: bytes, since_s: float) -> None:
        """Writes a request that counts from `since_s`."""
        assert self._transport is not None
        self.since_s = since_s
        self._transport.write(request)

    def abort(self) -> None:
        """Ends it at once; its owner is not told."""
        self.since_s = None
        self._is_usable = False
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by asyncio."""
        self._transport = cast(asyncio.Transport, transport)
        self._is_usable = True

    def data_received(self, data: bytes) -> None:
        """Called by asyncio."""
        if self.since_s is None:
            return
        try:
            answer = self._reader.feed(data)
        except BrokenAnswer:
            self._owner.failed(self, is_broken=True)
            return
        if answer is not None:
            self._is_usable = not answer.is_last
            self._owner.answered(self, answer)

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by asyncio."""
        self._is_usable = False
        if self.since_s is not None:
            self._owner.failed(self, is_broken=False)
