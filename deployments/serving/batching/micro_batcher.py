"""The micro-batcher: whenever the model is free, whatever waits becomes a batch, up to a limit.

A timer that closes batches while the model is busy makes batches of one when images arrive at a steady rate. Taking
what waits when the model becomes free fills them by itself. A full batch also starts beside a running one: it could
not become any larger, and the model has no pause between the two. A batch that is not full does so only where two
batches do not slow each other. How large a batch may be, and whether its first image waits a little for others, is
decided by `batch_policy.py`.
"""

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractContextManager
from typing import Generic, TypeVar

from deployments.errors import InternalError, ModelUnavailable, Overloaded, ServingError
from deployments.logs import OWN_LOGGER
from deployments.origin import Origin, about
from deployments.process.background_task import BackgroundTask
from deployments.serving.batching.batch_items import Batched, BatchItem, Run, fail, is_late
from deployments.serving.batching.batch_policy import AdaptiveBatchPolicy, Load

logger = logging.getLogger(OWN_LOGGER)

BATCHES_AT_ONCE = 2

AroundBatch = Callable[[Sequence[Origin | None]], AbstractContextManager[None]]

T = TypeVar("T")
R = TypeVar("R")


class MicroBatcher(Generic[T, R]):
    """Runs items in batches, at most `BATCHES_AT_ONCE` together.

    run: takes the items of one batch and returns one result for each, in order. If it fails for a batch of several,
        each is run again alone, so that one poisonous item does not fail the others; but a ServingError that it
        raises is meant for all of them.
    policy: how large a batch may be and how long it may wait; learns from every batch.
    may_wait: whether a batch may wait for company without keeping finished images waiting.
    is_side_by_side: whether two batches run together without slowing each other, as on cores of their own.
    on_batch_end: called with the items of each batch that was run, and whether at least one has its result.
    around_batch: entered with the origins of each batch while it runs; None where nobody watches.
    """

    def __init__(
        self,
        run: Callable[[Sequence[T]], Awaitable[Sequence[R]]],
        policy: AdaptiveBatchPolicy,
        max_waiting: int,
        may_wait: Callable[[], bool] = lambda: True,
        is_side_by_side: bool = False,
    ) -> None:
        self.max_waiting = max_waiting
        self.on_batch_end: Callable[[Sequence[T], bool], None] = lambda items, has_result: None
        self.around_batch: AroundBatch | None = None
        self._run = run
        self._policy = policy
        self._may_wait = may_wait
        self._is_side_by_side = is_side_by_side
        self._batches: set[asyncio.Task[None]] = set()
        self._started = 0
        self._running = 0
        self._peak = 0
        self._idle_since_s = time.monotonic()
        self._waiting: deque[BatchItem[T, R]] = deque()
        self._changed = asyncio.Event()
        self._serving = BackgroundTask("micro-batcher", self._serve)
        self._serving.start()
        self._is_closed = False

    @property
    def waiting(self) -> int:
        """Items that wait for a batch now."""
        return len(self._waiting)

    async def submit(self, item: T, expires_at_s: float, origin: Origin | None = None) -> Batched[R]:
        """The result of `item`. expires_at_s: on the monotonic clock; an item that is late is not run.

        Raises Overloaded at once when too many items wait, DeadlineExceeded when it is late before its batch
        starts, InternalError when it fails alone. Cancelling the call takes the item out of the queue.
        """
        if self._is_closed:
            raise ModelUnavailable("the model is being stopped")
        if len(self._waiting) >= self.max_waiting:
            self._drop_late()
        if len(self._waiting) >= self.max_waiting:
            raise Overloaded(f"{len(self._waiting)} images wait already, the limit is {self.max_waiting}")
        entry: BatchItem[T, R] = BatchItem(item, expires_at_s, asyncio.get_running_loop().create_future(), origin)
        self._waiting.append(entry)
        self._peak = max(self._peak, len(self._waiting) + self._running)
        self._changed.set()
        try:
            return await entry.future
        except asyncio.CancelledError:
            # What was cancelled no longer counts: the limit is for what waits.
            with contextlib.suppress(ValueError):
                self._waiting.remove(entry)
            raise

    def look_again(self) -> None:
        """The answer of `may_wait` has changed."""
        self._changed.set()

    def check(self) -> None:
        """Raises RuntimeError when the batching task has died, for a health check."""
        if not self._is_closed:
            self._serving.check()

    async def close(self) -> None:
        """Stops; items that still wait, or are in a batch, get ModelUnavailable."""
        self._is_closed = True
        await self._serving.stop()
        batches = set(self._batches)
        for task in batches:
            task.cancel()
        if batches:
            await asyncio.wait(batches)
        while self._waiting:
            fail(self._waiting.popleft(), ModelUnavailable("the model is being stopped"))

    async def _serve(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            while not self._may_start():
                self._changed.clear()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self._wait_left_s() if self._waiting else None):
                        await self._changed.wait()
            batch = self._take()
            if batch:
                self._started += 1
                self._running += len(batch)
                run = Run(batch, self._started, not self._batches, self._running + len(self._waiting))
                self._batches.add(loop.create_task(self._run_and_leave(run)))

    def _may_start(self) -> bool:
        waiting = len(self._waiting)
        if not waiting or len(self._batches) >= BATCHES_AT_ONCE:
            return False
        if waiting >= self._policy.limit(waiting):
            return True
        left_s = self._wait_left_s()
        return left_s is not None and left_s <= 0

    def _wait_left_s(self) -> float | None:
        """How long the first item may wait for company from now on; None while the end of another batch decides."""
        if self._batches and (not self._is_side_by_side or len(self._batches) >= BATCHES_AT_ONCE):
            return None
        if not self._may_wait():
            return 0.0
        first = self._waiting[0]
        until_s = min(first.entered_at_s + self._policy.max_wait_s, first.expires_at_s - self._policy.run_s(1))
        return until_s - time.monotonic()

    def _take(self) -> list[BatchItem[T, R]]:
        batch: list[BatchItem[T, R]] = []
        now_s = time.monotonic()
        limit = self._policy.limit(len(self._waiting))
        while self._waiting and len(batch) < limit:
            entry = self._waiting.popleft()
            if not entry.future.done() and not is_late(entry, now_s):
                batch.append(entry)
        return batch

    def _drop_late(self) -> None:
        """Late items no longer count, also while no batch ends that would notice them."""
        now_s = time.monotonic()
        self._waiting = deque(entry for entry in self._waiting if not is_late(entry, now_s))

    async def _run_and_leave(self, run: "Run[T, R]") -> None:
        """Runs a batch to its end."""
        try:
            if await self._run_batch(run.batch):
                self._note_run(run)
        except asyncio.CancelledError:
            for entry in run.batch:
                fail(entry, ModelUnavailable("the model is being stopped"))
            raise
        finally:
            self._running -= len(run.batch)
            task = asyncio.current_task()
            assert task is not None
            self._batches.discard(task)
            self._changed.set()

    async def _run_batch(self, batch: list[BatchItem[T, R]]) -> bool:
        """Whether the batch ran as a whole."""
        try:
            await self._run_together(batch)
        except ServingError as error:
            for entry in batch:
                fail(entry, error)
            return False
        except Exception:
            logger.exception("a batch of %d failed", len(batch), extra=about(one.origin for one in batch))
            is_whole, has_result = False, await self._run_alone(batch)
        else:
            is_whole, has_result = True, True
        self.on_batch_end([entry.item for entry in batch], has_result)
        return is_whole

    async def _run_together(self, batch: list[BatchItem[T, R]]) -> None:
        started_at_s = time.monotonic()
        if self.around_batch is None:
            results = await self._run([entry.item for entry in batch])
        else:
            with self.around_batch([entry.origin for entry in batch]):
                results = await self._run([entry.item for entry in batch])
        run_s = time.monotonic() - started_at_s
        for entry, result in zip(batch, results, strict=True):
            if not entry.future.done():
                wait_s = started_at_s - entry.entered_at_s
                entry.future.set_result(Batched(result, wait_s, run_s, len(batch)))

    def _note_run(self, run: "Run[T, R]") -> None:
        now_s = time.monotonic()
        # Waiting for company does not count as idle: that would take away the load which is the reason for waiting.
        idle_s = max(run.batch[0].entered_at_s - self._idle_since_s, 0.0)
        is_alone = self._is_side_by_side or (run.is_first and self._started == run.number)
        self._policy.note_run(
            len(run.batch), Load(now_s - run.started_at_s, idle_s, run.present, self._peak), is_alone
        )
        self._idle_since_s = now_s
        self._peak = len(self._waiting)

    async def _run_alone(self, batch: list[BatchItem[T, R]]) -> bool:
        """Runs each item of a batch that failed by itself; whether any has its result now."""
        has_result = False
        for entry in batch:
            if entry.future.done() or is_late(entry, time.monotonic()):
                continue
            try:
                if len(batch) == 1:
                    raise InternalError("the model failed on this image")
                await self._run_together([entry])
                has_result = True
            except ServingError as error:
                fail(entry, error)
            except Exception:
                logger.exception("an image failed alone, too", extra=about([entry.origin]))
                fail(entry, InternalError("the model failed on this image"))
        return has_result
