"""Jobs of one queue that were in work when a bridge died, each on trial: read and asked while nothing else begins.

Which of them may be on trial beside which is for `FairRWLock` to say; what a trial found shows when a bridge dies.
"""

import asyncio
from collections.abc import Awaitable, Callable

from redis_bridge.delivery.context import Door, Signals
from redis_bridge.delivery.fair_rw_lock import HANDOVER_S, TRIAL_S
from redis_bridge.delivery.leased_job import LeasedJob
from redis_bridge.delivery.settlement import Settlement


class Quarantine:
    """The trials of one queue. bring_to_end: what is done with jobs in or out of a trial."""

    def __init__(
        self,
        door: Door,
        signals: Signals,
        endings: Settlement,
        bring_to_end: Callable[[list[LeasedJob]], Awaitable[None]],
    ) -> None:
        self._door = door
        self._signals = signals
        self._endings = endings
        self._bring_to_end = bring_to_end
        self._turn = asyncio.Lock()

    async def try_all(self, suspects: list[LeasedJob]) -> None:
        """One after the other, or side by side those whose model takes longer than a trial."""
        trials: list[asyncio.Task[None]] = []
        for held in suspects:
            async with self._turn:
                if await self._signals.unless_abandoned(self._door.trials.begin(held.is_kept_apart)) is None:
                    await self._endings.requeue(held)
                    continue
                trials.append(asyncio.create_task(self._try_alone(held)))
                await asyncio.wait(trials[-1:], timeout=TRIAL_S)
        await asyncio.gather(*trials)

    async def _try_alone(self, held: LeasedJob) -> None:
        """One suspect, in the window that is open. To its end its slot stands in Redis as that of the job which is to
        blame when the bridge dies."""
        trials, jobs, slot = self._door.trials, self._door.jobs, held.lease.slot
        try:
            try:
                work = await self._begin_alone(held)
            finally:
                trials.close_window()
            if work is None:
                await self._endings.requeue(held)
                return
            await work
            await self._endings.is_done(lambda: jobs.end_trial(slot))
        finally:
            trials.end()

    async def _begin_alone(self, held: LeasedJob) -> asyncio.Future[None] | None:
        """The work on a suspect once it is over or in its model; None when Redis was away to the end."""
        jobs, slot = self._door.jobs, held.lease.slot
        if not await self._endings.is_done(lambda: jobs.begin_trial(slot)):
            return None
        work = asyncio.ensure_future(self._bring_to_end([held]))
        asked = asyncio.create_task(held.asked.wait())
        await asyncio.wait({work, asked}, timeout=TRIAL_S, return_when=asyncio.FIRST_COMPLETED)
        asked.cancel()
        await asyncio.wait({work}, timeout=HANDOVER_S)
        return work
