"""The micro-batcher: a batch is formed when the model is free, from whatever waits then, up to a limit.

A timer that closes batches while the model is busy makes batches of one under open-loop arrivals; taking what
waits when the model becomes free fills them by itself. How large a batch may be and whether its first image waits
a little for others is the pace's to say (`pace.py`). Knows no model, no Ray and no images.
"""

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from deployments.errors import DeadlineExceeded, InternalError, ModelUnavailable, Overloaded
from deployments.pace import Pace

logger = logging.getLogger(__name__)

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Batched(Generic[R]):
    """One item's result, with how long it waited and how long its batch of `batch_size` items ran."""

    result: R
    wait_s: float
    run_s: float
    batch_size: int


@dataclass(slots=True, eq=False)
class _Entry(Generic[T, R]):
    item: T
    expires_at_s: float
    future: asyncio.Future[Batched[R]]
    entered_at_s: float = field(default_factory=time.monotonic)


class MicroBatcher(Generic[T, R]):
    """Runs items in batches, one batch at a time.

    pace: how large a batch may be and how long it may wait; told of every batch.
    run: takes the items of one batch, returns one result for each, in order. When it fails for a batch of
        several, each is run again alone, so that one poisonous item does not take the others with it.
    """

    def __init__(self, run: Callable[[Sequence[T]], Awaitable[Sequence[R]]], pace: Pace, max_waiting: int) -> None:
        self.max_waiting = max_waiting
        self._run = run
        self._pace = pace
        self._running = 0
        self._crowd = 0
        self._idle_since_s = time.monotonic()
        self._waiting: deque[_Entry[T, R]] = deque()
        self._work_came = asyncio.Event()
        self._task = asyncio.get_running_loop().create_task(self._serve(), name="micro-batcher")
        self._is_closed = False

    @property
    def waiting(self) -> int:
        """Items that wait for a batch now."""
        return len(self._waiting)

    async def submit(self, item: T, expires_at_s: float) -> Batched[R]:
        """The result of `item`. expires_at_s: on the monotonic clock; an item that is late is not run.

        Raises Overloaded at once when too many items wait, DeadlineExceeded when it is late before its batch
        starts, InternalError when it fails alone. Cancelling the call takes the item out of the queue.
        """
        if self._is_closed:
            raise ModelUnavailable("the model is being stopped")
        if len(self._waiting) >= self.max_waiting:
            raise Overloaded(f"{len(self._waiting)} images wait already, the limit is {self.max_waiting}")
        entry: _Entry[T, R] = _Entry(item, expires_at_s, asyncio.get_running_loop().create_future())
        self._waiting.append(entry)
        self._crowd = max(self._crowd, len(self._waiting) + self._running)
        self._work_came.set()
        try:
            return await entry.future
        except asyncio.CancelledError:
            # Those who went away count no longer: the limit is for those who wait.
            with contextlib.suppress(ValueError):
                self._waiting.remove(entry)
            raise

    def check(self) -> None:
        """Raises RuntimeError when the batching task has died, for a health check."""
        if self._task.done() and not self._is_closed:
            raise RuntimeError("the micro-batcher's task is dead")

    async def close(self) -> None:
        """Stops; items that still wait get ModelUnavailable."""
        self._is_closed = True
        self._task.cancel()
        await asyncio.wait([self._task])
        while self._waiting:
            _fail(self._waiting.popleft(), ModelUnavailable("the model is being stopped"))

    async def _serve(self) -> None:
        while True:
            await self._work_came.wait()
            await self._wait_for_company()
            batch = self._take()
            if batch:
                await self._run_batch(batch)
            if self._waiting:
                self._work_came.set()
            else:
                self._work_came.clear()

    async def _wait_for_company(self) -> None:
        """Until the next batch is full, or its first item has waited for as long as the pace allows."""
        while self._waiting and len(self._waiting) < self._pace.limit(len(self._waiting)):
            first = self._waiting[0]
            until_s = min(first.entered_at_s + self._pace.patience_s, first.expires_at_s - self._pace.run_s(1))
            left_s = until_s - time.monotonic()
            if left_s <= 0:
                return
            self._work_came.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(left_s):
                    await self._work_came.wait()

    def _take(self) -> list[_Entry[T, R]]:
        batch: list[_Entry[T, R]] = []
        now_s = time.monotonic()
        limit = self._pace.limit(len(self._waiting))
        while self._waiting and len(batch) < limit:
            entry = self._waiting.popleft()
            if entry.future.done():
                continue
            if entry.expires_at_s <= now_s:
                _fail(entry, DeadlineExceeded("the time was over before the image's turn came"))
                continue
            batch.append(entry)
        return batch

    async def _run_batch(self, batch: list[_Entry[T, R]]) -> None:
        started_at_s = time.monotonic()
        self._running = len(batch)
        try:
            results = await self._run([entry.item for entry in batch])
        except Exception:
            logger.exception("a batch of %d failed", len(batch))
            await self._run_alone(batch)
            return
        finally:
            self._running = 0
        run_s = time.monotonic() - started_at_s
        self._note_run(len(batch), started_at_s, run_s)
        for entry, result in zip(batch, results, strict=True):
            if not entry.future.done():
                wait_s = started_at_s - entry.entered_at_s
                entry.future.set_result(Batched(result, wait_s, run_s, len(batch)))

    def _note_run(self, size: int, started_at_s: float, run_s: float) -> None:
        self._pace.note_run(size, run_s, idle_s=max(started_at_s - self._idle_since_s, 0.0), crowd=self._crowd)
        self._idle_since_s = started_at_s + run_s
        self._crowd = len(self._waiting)

    async def _run_alone(self, batch: list[_Entry[T, R]]) -> None:
        if len(batch) == 1:
            _fail(batch[0], InternalError("the model failed on this image"))
            return
        for entry in batch:
            if not entry.future.done():
                await self._run_batch([entry])


def _fail(entry: _Entry[T, R], error: Exception) -> None:
    if not entry.future.done():
        entry.future.set_exception(error)
