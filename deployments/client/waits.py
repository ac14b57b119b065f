"""What waits for the answers of one model, each request until its deadline, and all of them until it is removed."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

from deployments.errors import ModelUnavailable


class Waits:
    """Of one model. Serve itself lets the calls to an application that was removed wait for ever."""

    def __init__(self, model: str = "") -> None:
        self._model = model
        self._timers: set[asyncio.Timeout] = set()

    @contextlib.asynccontextmanager
    async def until(self, expires_at_s: float) -> AsyncIterator[None]:
        """Raises TimeoutError at that time on the clock of the event loop, and ModelUnavailable at `end`."""
        timer = asyncio.timeout_at(expires_at_s)
        try:
            async with timer:
                self._timers.add(timer)
                try:
                    yield
                finally:
                    self._timers.discard(timer)
        except TimeoutError:
            if (timer.when() or 0.0) < expires_at_s:
                raise ModelUnavailable(f"model {self._model} was removed before it answered") from None
            raise

    def end(self) -> None:
        """Nothing waits any longer. Called in the event loop."""
        now_s = asyncio.get_running_loop().time()
        for timer in self._timers:
            if not timer.expired() and (timer.when() or 0.0) > now_s:
                timer.reschedule(now_s)
