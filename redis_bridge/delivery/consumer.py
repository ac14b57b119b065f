"""Reserves the jobs of one queue, as many as may be in flight, while its model can answer.

There is one consumer for each queue, so that no queue starves another.
"""

import asyncio

from deployments.process.background_task import check_running
from redis_bridge.client.connection import pause
from redis_bridge.delivery.processing import Processing
from redis_bridge.delivery.queue_load import QueueLoad
from redis_bridge.delivery.reservation import JobReserver
from redis_bridge.delivery.served_queue import ServedQueue
from redis_bridge.store.liveness import Liveness

READINESS_POLL_INTERVAL_S = 0.1

COMPANY_TIMEOUT_S = 0.005
"""How long jobs may wait for company while most places are taken."""


class Consumer:
    """The jobs of one queue, from `start` to `stop`."""

    def __init__(
        self,
        queue: ServedQueue,
        reserver: JobReserver,
        load: QueueLoad,
        processing: Processing,
        liveness: Liveness,
    ) -> None:
        self._queue = queue
        self._reserver = reserver
        self._load = load
        self._processing = processing
        self._liveness = liveness
        self._running: set[asyncio.Task[None]] = set()
        self._reserving: asyncio.Task[None] | None = None
        self._parking: asyncio.Task[None] | None = None

    @property
    def in_flight(self) -> int:
        """Jobs that the bridge holds now."""
        return self._load.in_flight

    @property
    def parked(self) -> int:
        """Of these, the jobs that wait for the models that they name."""
        return self._processing.parked

    @property
    def is_finished(self) -> bool:
        """Whether the model is gone for good and no client waits any more: the consumer may be stopped."""
        return self._load.is_finished

    def oldest_s(self, waiting: int) -> float:
        """How long the oldest of the `waiting` jobs has waited, as far as this bridge has seen; see QueueAge."""
        return self._load.oldest_s(waiting)

    def start(self) -> None:
        """Begins to reserve jobs, in the background."""
        loop = asyncio.get_running_loop()
        self._reserving = loop.create_task(self._reserve_jobs(), name=f"consumer of queue {self._queue.name}")
        if self._queue.is_routed:
            self._parking = loop.create_task(
                self._processing.tend_parked(self._queue.signals.stop), name=f"parking of queue {self._queue.name}"
            )

    def check(self) -> None:
        """Raises RuntimeError when the consumer has died, for a health check."""
        if self._queue.signals.stop.is_set():
            return
        for task in (self._reserving, self._parking):
            if task is not None:
                check_running(task)

    async def stop(self, drain_s: float) -> None:
        """Reserves nothing more; gives jobs in flight `drain_s` seconds to finish, and requeues the rest."""
        self._queue.signals.stop.set()
        if self._reserving is not None:
            await asyncio.wait({self._reserving})
        if self._running:
            await asyncio.wait(self._running, timeout=drain_s)
        self._queue.signals.abandon.set()
        if self._running:
            await asyncio.wait(self._running)
        if self._parking is not None:
            await asyncio.wait({self._parking})
        await self._processing.requeue_parked()

    async def _reserve_jobs(self) -> None:
        signals = self._queue.signals
        while not signals.stop.is_set():
            if not self._may_reserve:
                await pause(READINESS_POLL_INTERVAL_S, signals.stop)
                continue
            await self._reserver.wait_for_memory()
            self._load.fit_limit()
            free = await signals.unless_stopped(self._load.limit.wait_for_some(COMPANY_TIMEOUT_S))
            if free is None or signals.stop.is_set():
                return
            if self._may_reserve:
                await self._reserve_some(free)

    async def _reserve_some(self, free: int) -> None:
        group, has_failed = await self._reserver.reserve(self._load.most(free))
        if has_failed:
            self._load.rest()
        self._load.reserved(len(group))
        if group:
            task = asyncio.get_running_loop().create_task(self._processing.run(group))
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    @property
    def _may_reserve(self) -> bool:
        """Only while other bridges certainly see this one as alive."""
        return self._load.may_reserve and self._liveness.is_sure
