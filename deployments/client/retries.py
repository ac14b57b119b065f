"""Asks again what a replica died under, so that what killed it fails alone. Knows no Ray and no images.

A replica that dies takes all with it that it had in work. They are asked again beside each other, as most deaths have
nothing to do with what was asked. Those that a second replica dies under are suspects, and are asked one at a time.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace

from deployments.errors import ModelCrashed
from deployments.prediction import Outcome
from deployments.request import Request

TRIES_AT_ONCE = 8
"""Requests that are asked again beside each other: enough to fill a batch, and no more suspects than that."""

Call = Callable[[Request], Awaitable[Outcome]]
"""Asks for one request in a call of its own; raises ReplicaDied."""


class ReplicaDied(Exception):
    """The replica died before it had answered; nobody knows which of its requests was the cause, if any."""


class SecondTries:
    """The requests of one caller to one model that a replica has died under."""

    def __init__(self, model: str, call: Call) -> None:
        self._model = model
        self._call = call
        self._room = asyncio.Semaphore(TRIES_AT_ONCE)
        self._turn = asyncio.Lock()
        self._trying = 0
        self._suspects = 0

    async def ask(self, request: Request, expires_at_s: float) -> Outcome:
        """The outcome of `request`: ModelCrashed when the replica died again and nothing else that was asked again
        can have been the cause. expires_at_s: on the clock of the event loop; raises TimeoutError then."""
        async with asyncio.timeout_at(expires_at_s):
            async with self._room:
                self._trying += 1
                try:
                    return await self._call(_with_time_left(request, expires_at_s))
                except ReplicaDied:
                    if self._trying == 1 and not self._suspects:
                        return self._crashed()
                    self._suspects += 1
                finally:
                    self._trying -= 1
            try:
                async with self._nobody_else():
                    return await self._call(_with_time_left(request, expires_at_s))
            except ReplicaDied:
                return self._crashed()
            finally:
                self._suspects -= 1

    @contextlib.asynccontextmanager
    async def _nobody_else(self) -> AsyncIterator[None]:
        async with self._turn, contextlib.AsyncExitStack() as rooms:
            for _ in range(TRIES_AT_ONCE):
                await rooms.enter_async_context(self._room)
            yield

    def _crashed(self) -> ModelCrashed:
        return ModelCrashed(f"model {self._model} died twice under this request")


def _with_time_left(request: Request, expires_at_s: float) -> Request:
    left_s = expires_at_s - asyncio.get_running_loop().time()
    return replace(request, deadline_s=max(left_s, 1e-6))
