"""Sends a request again when a replica died under it, so that a request which kills replicas fails alone.

A replica that dies takes down everything that it had in work. Those requests are sent again side by side, because
most deaths have nothing to do with what was sent. If a second replica dies too, the requests under it are suspects,
and are sent one at a time.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace

from deployments.client.outcomes import ReplicaDied, Send, outcomes_of
from deployments.client.waits import Waits
from deployments.errors import ModelCrashed
from deployments.prediction import Outcome
from deployments.request import Request

ATTEMPTS_AT_ONCE = 8
"""Requests that are sent again side by side: enough to fill a batch, and no more suspects than that."""


class SecondAttempts:
    """The requests of one client to one model under which a replica has died. Each is sent in a call of its own."""

    def __init__(self, model: str, send: Send, waits: Waits) -> None:
        self._model = model
        self._waits = waits
        self._send = send
        self._room = asyncio.Semaphore(ATTEMPTS_AT_ONCE)
        self._turn = asyncio.Lock()
        self._under_way = 0
        self._suspects = 0

    async def send(self, request: Request, expires_at_s: float) -> Outcome:
        """The outcome of `request`: ModelCrashed when the replica died again and no other request that was sent again
        can have been the cause. expires_at_s: on the clock of the event loop. Raises what `Waits.until` raises."""
        async with self._waits.until(expires_at_s):
            async with self._room:
                self._under_way += 1
                try:
                    return await self._send_alone(request, expires_at_s)
                except ReplicaDied:
                    if self._under_way == 1 and not self._suspects:
                        return self._crashed()
                    self._suspects += 1
                finally:
                    self._under_way -= 1
            try:
                async with self._nobody_else():
                    return await self._send_alone(request, expires_at_s)
            except ReplicaDied:
                return self._crashed()
            finally:
                self._suspects -= 1

    async def _send_alone(self, request: Request, expires_at_s: float) -> Outcome:
        left_s = expires_at_s - asyncio.get_running_loop().time()
        [outcome] = await outcomes_of(self._send, [replace(request, deadline_s=max(left_s, 1e-6))])
        return outcome

    @contextlib.asynccontextmanager
    async def _nobody_else(self) -> AsyncIterator[None]:
        async with self._turn, contextlib.AsyncExitStack() as rooms:
            for _ in range(ATTEMPTS_AT_ONCE):
                await rooms.enter_async_context(self._room)
            yield

    def _crashed(self) -> ModelCrashed:
        return ModelCrashed(f"replicas of model {self._model} died repeatedly under this request")
