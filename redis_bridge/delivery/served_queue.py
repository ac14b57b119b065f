"""One queue while it is served: its settings and metrics, the signals that end its work, and what happens when a
Redis command for it fails.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any, TypeVar

from redis.exceptions import ResponseError

from redis_bridge import metrics
from redis_bridge.client.connection import ErrorLog, until_done
from redis_bridge.metrics import Metric, Recorder
from redis_bridge.settings import BridgeSettings
from redis_bridge.store.liveness import Liveness
from redis_bridge.wire.profiles import QueueProfile

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Signals:
    """How the work on a queue ends, in two steps."""

    stop: asyncio.Event = field(default_factory=asyncio.Event)
    """Reserve no more jobs, finish those in flight."""

    abandon: asyncio.Event = field(default_factory=asyncio.Event)
    """Requeue what is still in flight."""

    async def unless_stopped(self, waiting: Coroutine[Any, Any, T]) -> T | None:
        """The result of `waiting`, None when the stop came first. Never used for a Redis command, whose client
        may swallow the cancellation."""
        return await _unless(self.stop, waiting)

    async def unless_abandoned(self, waiting: Coroutine[Any, Any, T]) -> T | None:
        """The same for `abandon`."""
        return await _unless(self.abandon, waiting)


@dataclass(frozen=True, slots=True)
class ServedQueue:
    """What everything that works on one queue knows of it."""

    name: str
    settings: BridgeSettings
    recorder: Recorder
    signals: Signals = field(default_factory=Signals)

    @property
    def profile(self) -> QueueProfile:
        """The wire format of its jobs and answers."""
        return self.settings.profile_of(self.name)

    @property
    def is_routed(self) -> bool:
        """Whether each of its jobs may name its model."""
        return self.profile.model_field is not None

    def record(self, metric: Metric, value: float, *tags: str) -> None:
        """One measurement of this queue. tags: those after the queue."""
        self.recorder.record(metric, value, self.name, *tags)


class RedisErrors:
    """Failed commands of one bridge."""

    def __init__(self, liveness: Liveness, recorder: Recorder) -> None:
        self._liveness = liveness
        self._recorder = recorder
        self._log = ErrorLog()

    def note(self, what: str, error: Exception) -> None:
        """A command failed. Without a response it may have been carried out, so all leases are swept as soon
        as Redis responds again. A command that Redis itself refused has not been carried out."""
        self.warn(what, error)
        if not isinstance(error, ResponseError):
            self._liveness.sweep_soon()
        self._recorder.record(metrics.ERRORS, 1)

    def warn(self, what: str, error: Exception) -> None:
        """Logs a failure that nothing depends on."""
        self._log.warn(what, error)


class RedisRetry:
    """Runs commands on jobs again while Redis is away, until the work on the queue is abandoned."""

    def __init__(self, errors: RedisErrors, abandon: asyncio.Event) -> None:
        self._errors = errors
        self._abandon = abandon

    async def until_done(self, command: Callable[[], Awaitable[T]]) -> T | None:
        """The result of `command`; None when the work was abandoned first."""
        return await until_done(command, self._abandon, self._note)

    async def is_done(self, command: Callable[[], Awaitable[None]]) -> bool:
        """Whether a command without a result was carried out before the work was abandoned."""

        async def done() -> bool:
            await command()
            return True

        return bool(await self.until_done(done))

    def warn(self, what: str, error: Exception) -> None:
        """Logs a failure that is not tried again."""
        self._errors.warn(what, error)

    def _note(self, error: Exception) -> None:
        self._errors.note("a job could not be moved or answered", error)


async def done_or_set(task: asyncio.Future[Any], event: asyncio.Event, timeout_s: float | None = None) -> None:
    """Waits until `task` is done or `event` is set, at most `timeout_s` seconds. Never cancels `task`."""
    setting = asyncio.ensure_future(event.wait())
    try:
        await asyncio.wait({task, setting}, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
    finally:
        setting.cancel()


async def _unless(event: asyncio.Event, waiting: Coroutine[Any, Any, T]) -> T | None:
    task = asyncio.ensure_future(waiting)
    await done_or_set(task, event)
    if not task.done():
        task.cancel()
        await asyncio.wait({task})
    return None if task.cancelled() else task.result()
