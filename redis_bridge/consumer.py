"""Takes the jobs of one queue, as many as may be in flight, while its model can answer. Knows no wire.

One consumer for each queue, so that no queue starves another; within a queue jobs are taken one after the other.
"""

import asyncio
import time
from collections.abc import Coroutine
from typing import Any, TypeVar

from redis_bridge import metrics
from redis_bridge.connection import TROUBLES, Backoff, pause
from redis_bridge.door import Door, Signals
from redis_bridge.in_flight import Hold
from redis_bridge.jobs import Reserved
from redis_bridge.work import GIVEN_BACK, Work

LOOK_S = 0.1

T = TypeVar("T")


class Consumer:
    """The jobs of `queue`, from `start` to `stop`."""

    def __init__(self, queue: str, door: Door) -> None:
        self._queue = queue
        self._door = door
        self._signals = Signals()
        self._work = Work(queue, door, self._signals, self._is_given_up)
        self._places = asyncio.Semaphore(door.settings.slots_per_queue)
        self._running: set[asyncio.Task[None]] = set()
        self._taking: asyncio.Task[None] | None = None
        self._could_answer_at_s = time.monotonic()
        self._backoff = Backoff()
        self._rest_until_s = 0.0
        self._is_swept = False

    @property
    def in_flight(self) -> int:
        """Jobs held now."""
        return len(self._running)

    @property
    def is_finished(self) -> bool:
        """Whether the model is gone for good and nobody waits any more: the consumer may be stopped."""
        return self._is_swept and not self._running

    def start(self) -> None:
        """Begins to take jobs, in the background."""
        self._taking = asyncio.get_running_loop().create_task(self._take_jobs(), name=f"consumer {self._queue}")

    def check(self) -> None:
        """Raises RuntimeError when the consumer has died, for a health check."""
        if self._taking is not None and self._taking.done() and not self._signals.stop.is_set():
            raise RuntimeError(f"the consumer of queue {self._queue} is dead") from self._taking.exception()

    async def stop(self, drain_s: float) -> None:
        """Takes nothing more; gives jobs in flight `drain_s` seconds to finish, and the rest back."""
        self._signals.stop.set()
        if self._taking is not None:
            await asyncio.wait({self._taking})
        if self._running:
            await asyncio.wait(self._running, timeout=drain_s)
        self._signals.abandon.set()
        if self._running:
            await asyncio.wait(self._running)

    async def _take_jobs(self) -> None:
        while not self._signals.stop.is_set():
            if not self._may_take():
                await pause(LOOK_S, self._signals.stop)
                continue
            await self._unless_stopped(self._door.in_flight.wait_for_room())
            if await self._unless_stopped(self._places.acquire()) is None:
                return
            if self._signals.stop.is_set() or not self._may_take() or not await self._take_one():
                self._places.release()

    async def _take_one(self) -> bool:
        """Whether a job was taken, and is now worked on; its place is then released with it."""
        reserved = await self._reserve()
        if reserved is None:
            self._is_swept = self._is_swept or self._is_departed()
            return False
        hold = Hold(self._door.in_flight, len(reserved.payload))
        # The text is handed to the coroutine that decodes it and to nobody else, who would keep it in memory.
        work = self._work.run(reserved.slot, reserved.payload, hold)
        task = asyncio.get_running_loop().create_task(self._finish(work, hold))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return True

    async def _reserve(self) -> Reserved | None:
        try:
            return await self._door.jobs.reserve(self._queue)
        except TROUBLES as error:
            self._door.note_trouble(f"queue {self._queue} could not be read", error)
            self._rest()
            return None

    async def _finish(self, work: Coroutine[Any, Any, str], hold: Hold) -> None:
        started_s = time.perf_counter()
        try:
            outcome = await work
        finally:
            hold.release()
            self._places.release()
        if outcome == GIVEN_BACK:
            self._rest()
        else:
            self._backoff.reset()
        self._door.recorder.record(metrics.JOBS, 1, self._queue, outcome)
        self._door.recorder.record(metrics.JOB_SECONDS, time.perf_counter() - started_s, self._queue)

    def _may_take(self) -> bool:
        if self._can_answer():
            self._is_swept = False
        elif self._is_swept or not self._is_given_up():
            return False
        return self._door.presence.is_sure and time.monotonic() >= self._rest_until_s

    def _can_answer(self) -> bool:
        model = self._door.model_of(self._queue)
        if model is None or not model.can_answer:
            return False
        self._could_answer_at_s = time.monotonic()
        return True

    def _is_given_up(self) -> bool:
        """Whether the model has been away for so long that those who wait are told so."""
        if self._can_answer():
            return False
        return time.monotonic() - self._could_answer_at_s >= self._door.settings.give_up_after_s

    def _is_departed(self) -> bool:
        return self._door.model_of(self._queue) is None and self._is_given_up()

    def _rest(self) -> None:
        self._rest_until_s = time.monotonic() + self._backoff.next_s()

    async def _unless_stopped(self, waiting: Coroutine[Any, Any, T]) -> T | None:
        """The result of `waiting`, None when the stop came first. Never used for a Redis command, whose client
        may swallow the cancellation."""
        task = asyncio.ensure_future(waiting)
        stopped = asyncio.ensure_future(self._signals.stop.wait())
        await asyncio.wait({task, stopped}, return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        if not task.done():
            task.cancel()
            await asyncio.wait({task})
        return None if task.cancelled() else task.result()
