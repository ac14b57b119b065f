"""Suspects, the jobs that were in flight when a bridge died: each is decoded and asked while nothing else begins.

When a bridge dies it is not known which of its jobs killed it. So each is tried in a time of its own; only a suspect
whose bridge dies again during its trial is kept apart from all other suspects, so that the one to blame is known.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence

from redis_bridge.admission.fair_rw_lock import FairRWLock
from redis_bridge.delivery.leased_job import LeasedJob
from redis_bridge.delivery.served_queue import RedisRetry, ServedQueue, done_or_set
from redis_bridge.store.job_store import JobStore

TRIAL_TIMEOUT_S = 2.0
"""How long a suspect keeps all other jobs waiting."""

HANDOVER_TIMEOUT_S = 0.1
"""How long it takes to hand an image to its model: the end of the exclusive time."""

Process = Callable[[Sequence[LeasedJob], asyncio.Event], Awaitable[None]]
"""Brings jobs to their end; sets the event as soon as they are put to their model."""


class Quarantine:
    """The suspects of one queue."""

    def __init__(self, queue: ServedQueue, lock: FairRWLock, jobs: JobStore, retry: RedisRetry) -> None:
        self._queue = queue
        self._lock = lock
        self._jobs = jobs
        self._retry = retry
        self._turn = asyncio.Lock()

    def shared(self) -> contextlib.AbstractAsyncContextManager[None]:
        """Keeps suspects waiting while other jobs are in work."""
        return self._lock.shared()

    async def try_each(self, suspects: Sequence[LeasedJob], process: Process) -> list[LeasedJob]:
        """Processes one after the other, or side by side those whose model takes longer than a trial. Returns the
        jobs that were not tried because the work was abandoned."""
        untried: list[LeasedJob] = []
        trials: list[asyncio.Task[None]] = []
        for suspect in suspects:
            async with self._turn:
                is_apart = suspect.lease.is_apart
                if await self._queue.signals.unless_abandoned(self._lock.acquire_exclusive(is_apart)) is None:
                    untried.append(suspect)
                    continue
                trials.append(asyncio.create_task(self._try_alone(suspect, process, untried)))
                await asyncio.wait(trials[-1:], timeout=TRIAL_TIMEOUT_S)
        await asyncio.gather(*trials)
        return [suspect for suspect in suspects if suspect in untried]

    async def _try_alone(self, suspect: LeasedJob, process: Process, untried: list[LeasedJob]) -> None:
        """One suspect, while the lock is held. To its end its slot stands in Redis as that of the job which is to
        blame when the bridge dies."""
        slot = suspect.lease.slot
        try:
            try:
                work = await self._begin(suspect, process)
            finally:
                self._lock.downgrade()
            if work is None:
                untried.append(suspect)
                return
            await work
            await self._retry.is_done(lambda: self._jobs.end_trial(slot))
        finally:
            self._lock.release_exclusive()

    async def _begin(self, suspect: LeasedJob, process: Process) -> asyncio.Future[None] | None:
        """The work on a suspect once it is over or in its model; None when Redis was away to the end."""
        slot = suspect.lease.slot
        if not await self._retry.is_done(lambda: self._jobs.begin_trial(slot)):
            return None
        asked = asyncio.Event()
        work = asyncio.ensure_future(process([suspect], asked))
        await done_or_set(work, asked, TRIAL_TIMEOUT_S)
        await asyncio.wait({work}, timeout=HANDOVER_TIMEOUT_S)
        return work
