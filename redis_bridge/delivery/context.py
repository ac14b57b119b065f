"""What all consumers of this door share, and the two signals that end their work."""

import asyncio
from collections.abc import Callable, Collection, Coroutine
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Any, TypeVar

from redis.exceptions import ResponseError

from deployments.client.protocols import Predict
from deployments.definition import ModelRecord
from redis_bridge import metrics
from redis_bridge.client.clock import SteadyClock
from redis_bridge.client.connection import ErrorLog
from redis_bridge.client.in_flight_bytes import InFlightBytes
from redis_bridge.delivery.circuit_breaker import CircuitBreakers
from redis_bridge.delivery.fair_rw_lock import FairRWLock
from redis_bridge.metrics import Recorder
from redis_bridge.settings import BridgeSettings
from redis_bridge.store.job_store import JobStore
from redis_bridge.store.liveness import Liveness

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Door:
    """model_of: the model that answers for a queue now, None when there is none.
    waiting_for: jobs that wait in Redis for a model, by its name; None when that is not known.
    taken_keys: Redis keys that no answer may overwrite."""

    predict: Predict
    model_of: Callable[[str], ModelRecord | None]
    waiting_for: Callable[[str], int | None]
    taken_keys: Callable[[], Collection[str]]
    jobs: JobStore
    presence: Liveness
    in_flight: InFlightBytes
    threads: Executor
    recorder: Recorder
    troubles: ErrorLog
    settings: BridgeSettings
    clock: SteadyClock
    breakers: CircuitBreakers
    trials: FairRWLock = field(default_factory=FairRWLock)

    def note_trouble(self, what: str, error: Exception) -> None:
        """A Redis command failed. Where no answer came it may have been carried out, so slots are looked through
        as soon as Redis answers again; what Redis itself has refused it has not done."""
        self.troubles.tell(what, error)
        if not isinstance(error, ResponseError):
            self.presence.sweep_soon()
        self.recorder.record(metrics.ERRORS, 1)


@dataclass(frozen=True, slots=True)
class Signals:
    """stop: take nothing new, finish what is in flight.  abandon: give back what is still in flight."""

    stop: asyncio.Event = field(default_factory=asyncio.Event)
    abandon: asyncio.Event = field(default_factory=asyncio.Event)

    async def unless_stopped(self, waiting: Coroutine[Any, Any, T]) -> T | None:
        """The result of `waiting`, None when the stop came first. Never used for a Redis command, whose client
        may swallow the cancellation."""
        return await _unless(self.stop, waiting)

    async def unless_abandoned(self, waiting: Coroutine[Any, Any, T]) -> T | None:
        """The same for the abandonment."""
        return await _unless(self.abandon, waiting)


async def _unless(event: asyncio.Event, waiting: Coroutine[Any, Any, T]) -> T | None:
    task = asyncio.ensure_future(waiting)
    over = asyncio.ensure_future(event.wait())
    await asyncio.wait({task, over}, return_when=asyncio.FIRST_COMPLETED)
    over.cancel()
    if not task.done():
        task.cancel()
        await asyncio.wait({task})
    return None if task.cancelled() else task.result()
