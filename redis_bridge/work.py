"""The life of jobs between their slots and their ends: read, tried, and then answered, buried or given back.

Jobs that were taken together are read, asked and answered together; each that meets trouble goes on by itself. Knows
neither Redis commands nor JSON.
"""

import asyncio
import logging
import time
from collections.abc import Callable

from deployments.errors import InternalError, Overloaded, ServingError
from deployments.logs import OWN_LOGGER
from deployments.prediction import Outcome
from redis_bridge import wire
from redis_bridge.asking import Asking
from redis_bridge.connection import Backoff, pause
from redis_bridge.door import Door, Signals
from redis_bridge.endings import Endings
from redis_bridge.held import Ended, Held
from redis_bridge.reading import Reading
from redis_bridge.trials import TRIAL_S
from redis_bridge.wire import Disposition

logger = logging.getLogger(OWN_LOGGER)

OVERLOAD_TRIES = 6

TOGETHER_S = 0.1
"""Jobs go to the model together while a call takes no longer: its answers come all at once."""


class Work:
    """The work on the jobs of one queue. is_given_up: whether its model has been away for too long."""

    def __init__(
        self, queue: str, door: Door, signals: Signals, is_given_up: Callable[[], bool], ended: Ended
    ) -> None:
        self._queue = queue
        self._door = door
        self._signals = signals
        self._is_given_up = is_given_up
        self._endings = Endings(queue, door, signals, ended)
        self._reading = Reading(queue, door, self._endings)
        self._asking = Asking(queue, door, signals)

    async def run(self, group: list[Held]) -> None:
        """Brings every job to its end. The jobs' texts are let go of as soon as they are read."""
        try:
            await self._run(group)
        finally:
            self._endings.leave(group)

    @property
    def is_quick(self) -> bool:
        """Whether the model answers whatever it is asked in next to no time."""
        return 0 < self._asking.call_s < TOGETHER_S

    def most_together(self) -> int:
        """How many jobs may be put to the model at once, so that the first need not wait long for the last."""
        return max(1, int(TOGETHER_S / max(self._asking.seconds_a_job, 1e-6)))

    async def _run(self, group: list[Held]) -> None:
        suspects = [held for held in group if held.is_suspect]
        others = [held for held in group if not held.is_suspect]
        if others:
            await self._door.trials.join()
            try:
                await self._bring_to_end(others)
            finally:
                self._door.trials.leave()
        # One after the other, so that others have their turn between two trials.
        for held in suspects:
            await self._try_alone(held)

    async def _try_alone(self, held: Held) -> None:
        trials = self._door.trials
        if await self._signals.unless_abandoned(trials.begin()) is None:
            await self._endings.give_back(held)
            return
        slot = held.whereabouts.slot
        work: asyncio.Task[None] | None = None
        try:
            if await self._endings.is_done(lambda: self._door.jobs.begin_trial(slot)):
                work = asyncio.ensure_future(self._bring_to_end([held]))
                await asyncio.wait({work}, timeout=TRIAL_S)
                await self._endings.is_done(self._door.jobs.end_trial)
        finally:
            trials.end(is_at_work=work is not None)
        if work is None:
            await self._endings.give_back(held)
            return
        try:
            await work
        finally:
            trials.leave()

    async def _bring_to_end(self, group: list[Held]) -> None:
        try:
            await self._try_together(group)
        except Exception:
            logger.exception("jobs of queue %s met a fault of the bridge", self._queue)
            error = InternalError("the bridge failed unexpectedly")
            await asyncio.gather(*(self._endings.bury(held, error) for held in group if not held.is_over))

    async def _try_together(self, group: list[Held]) -> None:
        most = self._door.settings.max_attempts
        for held in group:
            if held.tries >= most:
                self._reading.name_unread(held)
                await self._endings.bury(held, _given_up(held))
        jobs = await self._reading.read([held for held in group if not held.is_over])
        if not jobs:
            return
        outcomes = await self._asking.ask([job for _, job in jobs])
        answered: list[tuple[Held, Outcome]] = []
        troubled: list[tuple[Held, ServingError | None]] = []
        for (held, _), outcome in zip(jobs, outcomes, strict=True):
            if outcome is None or isinstance(outcome, ServingError):
                troubled.append((held, outcome))
            else:
                answered.append((held, outcome))
        if answered:
            await self._endings.settle(answered)
        await asyncio.gather(*(self._go_on(held, outcome) for held, outcome in troubled))

    async def _go_on(self, held: Held, outcome: Outcome | None) -> None:
        """One job after a try that ended in `outcome`, until it is over."""
        backoff = Backoff()
        while True:
            if isinstance(outcome, Overloaded):
                outcome = await self._ask_patiently(held, outcome)
            if outcome is None:
                await self._endings.give_back(held)
                return
            held.clear()
            if not isinstance(outcome, ServingError):
                await self._endings.settle([(held, outcome)])
                return
            verdict = self._verdict(outcome, held)
            if verdict is Disposition.REFUSE:
                await self._endings.bury(held, outcome)
                return
            held.remember(failed=verdict is Disposition.TRY_AGAIN)
            if verdict is Disposition.WAIT or self._signals.stop.is_set():
                await self._endings.give_back(held)
                return
            await self._endings.is_done(lambda: self._door.jobs.note(held.whereabouts))
            await pause(backoff.next_s(), self._signals.stop)
            outcome = await self._ask(held)

    def _verdict(self, error: ServingError, held: Held) -> Disposition:
        """The table's word on `error`, or REFUSE when the job has had its tries or its time."""
        settings = self._door.settings
        verdict = wire.disposition(error)
        waited_s = time.time() - held.record.first_s if held.record else 0.0
        is_over = {
            Disposition.REFUSE: True,
            Disposition.TRY_AGAIN: held.tries + 1 >= settings.max_attempts,
            Disposition.WAIT: self._is_given_up() or waited_s >= settings.give_up_after_s,
        }
        return Disposition.REFUSE if is_over[verdict] else verdict

    async def _ask_patiently(self, held: Held, outcome: Outcome | None) -> Outcome | None:
        """An overloaded model is asked again a few times, as a place may be free at any moment and the picture is
        already decoded."""
        backoff = Backoff()
        for _ in range(OVERLOAD_TRIES - 1):
            if not isinstance(outcome, Overloaded) or self._signals.stop.is_set():
                break
            await pause(backoff.next_s(), self._signals.stop)
            outcome = await self._ask(held)
        return outcome

    async def _ask(self, held: Held) -> Outcome | None:
        assert held.job is not None
        [outcome] = await self._asking.ask([held.job])
        return outcome


def _given_up(held: Held) -> InternalError:
    return InternalError(f"given up: {held.tries} tries of this job ended without an answer")
