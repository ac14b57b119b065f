"""The life of jobs between their slots and their ends: read, tried, and then answered, buried or given back.

Jobs that were taken together are read, asked and answered together; each that meets trouble goes on by itself. Knows
neither Redis commands nor JSON.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence

from deployments.errors import InternalError, Overloaded, ServingError
from deployments.logs import OWN_LOGGER
from deployments.prediction import Outcome
from redis_bridge.client.connection import Backoff, pause
from redis_bridge.delivery.context import Door, Signals
from redis_bridge.delivery.decoding import JobDecoder
from redis_bridge.delivery.leased_job import Ended, LeasedJob
from redis_bridge.delivery.model_calls import ModelCalls
from redis_bridge.delivery.parking import Parking
from redis_bridge.delivery.quarantine import Quarantine
from redis_bridge.delivery.retry_policy import Disposition, disposition
from redis_bridge.delivery.settlement import Settlement
from redis_bridge.wire.job_format import Job

logger = logging.getLogger(OWN_LOGGER)

OVERLOAD_TRIES = 6

TOGETHER_S = 0.1
"""Jobs go to the model together while a call takes no longer: its answers come all at once."""

STALL_S = 2.0
"""Jobs that name their model give their places to others when it takes longer; see `Processing._ask_in_passing`."""

Tried = tuple[LeasedJob, Job]


class Processing:
    """The work on the jobs of one queue. is_given_up: whether its model has been away for too long.
    aside: those of its jobs that wait for the models that they name."""

    def __init__(
        self, queue: str, door: Door, signals: Signals, is_given_up: Callable[[], bool], ended: Ended
    ) -> None:
        self._queue = queue
        self._door = door
        self._signals = signals
        self._is_given_up = is_given_up
        self._endings = Settlement(queue, door, signals, ended)
        self._reading = JobDecoder(queue, door, self._endings)
        self._asking = ModelCalls(queue, door, signals)
        self._are_routed = door.settings.profile_of(queue).model_field is not None
        self.aside = Parking(queue, door, self._asking, self._endings, self._is_crowded)
        self._suspects = Quarantine(door, signals, self._endings, self._bring_to_end)

    async def run(self, group: list[LeasedJob]) -> None:
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

    async def _run(self, group: list[LeasedJob]) -> None:
        suspects = [held for held in group if held.is_suspect]
        others = [held for held in group if not held.is_suspect]
        if others:
            await self._door.trials.join()
            try:
                await self._bring_to_end(others)
            finally:
                self._door.trials.leave()
        await self._suspects.try_all(suspects)

    async def _bring_to_end(self, group: list[LeasedJob]) -> None:
        try:
            await self._try_together(group)
        except Exception:
            logger.exception("jobs of queue %s met a fault of the bridge", self._queue)
            error = InternalError("the bridge failed unexpectedly")
            left = [held for held in group if not held.is_over and not held.is_aside]
            await asyncio.gather(*(self._endings.dead_letter(held, error) for held in left))

    async def _try_together(self, group: list[LeasedJob]) -> None:
        most = self._door.settings.max_attempts
        for held in group:
            if held.tries >= most:
                self._reading.name_unread(held)
                await self._endings.dead_letter(held, _given_up(held))
        by_model: dict[str | None, list[Tried]] = {}
        for held, job in await self._reading.read([held for held in group if not held.is_over]):
            by_model.setdefault(job.model, []).append((held, job))
        # Each by itself, so that none waits for the model of another.
        await asyncio.gather(*(self._try_in_model(jobs) for jobs in by_model.values()))

    async def _try_in_model(self, jobs: list[Tried]) -> None:
        """Jobs that name the same model, or none."""
        name = jobs[0][1].model
        if self._are_routed and self._is_crowded(name):
            for held, _ in jobs:
                await self.aside.add(held, name)
            return
        for held, _ in jobs:
            if held.is_suspect:
                held.asked.set()
        is_probe = self._is_paused(name)
        outcomes = await (
            self._ask_in_passing(jobs) if self._are_routed else self._asking.ask([job for _, job in jobs])
        )
        answered: list[tuple[LeasedJob, Outcome]] = []
        troubled: list[tuple[LeasedJob, ServingError | None]] = []
        for (held, _), outcome in zip(jobs, outcomes, strict=True):
            if outcome is None or isinstance(outcome, ServingError):
                troubled.append((held, outcome))
            else:
                answered.append((held, outcome))
        if answered:
            await self._endings.ack(answered)
        await asyncio.gather(*(self._go_on(held, outcome, is_probe) for held, outcome in troubled))

    async def _ask_in_passing(self, jobs: Sequence[Tried]) -> Sequence[Outcome | None]:
        """Asks a model of several. After a while the jobs' places are given to those for other models, and once half
        of a queue's places are waited on so, further jobs for this model are set aside."""
        calls = [asyncio.create_task(self._asking.ask([job for _, job in jobs]))]
        await asyncio.wait(calls, timeout=STALL_S)
        breaker = self._asking.breaker_of(jobs[0][1].model)
        if calls[0].done() or breaker is None:
            return await calls[0]
        self._endings.lend_places([held for held, _ in jobs])
        breaker.stalled += len(jobs)
        try:
            return await calls[0]
        finally:
            breaker.stalled -= len(jobs)

    def _is_crowded(self, model: str | None) -> bool:
        breaker = self._asking.breaker_of(model)
        if breaker is None:
            return False
        return not breaker.room or breaker.stalled >= max(1, self._door.settings.slots_per_queue // 2)

    def _is_paused(self, model: str | None) -> bool:
        breaker = self._asking.breaker_of(model)
        return breaker is not None and breaker.is_paused

    async def _go_on(self, held: LeasedJob, outcome: Outcome | None, is_probe: bool) -> None:
        """One job after a try that ended in `outcome`, until it is over. is_probe: it was tried to see whether its
        model answers again."""
        backoff = Backoff()
        while True:
            if isinstance(outcome, Overloaded):
                outcome = await self._ask_patiently(held, outcome)
            if outcome is None:
                await self._endings.requeue(held)
                return
            held.clear()
            if not isinstance(outcome, ServingError):
                await self._endings.ack([(held, outcome)])
                return
            verdict = self._verdict(outcome, held, is_probe)
            if verdict is Disposition.REFUSE:
                await self._endings.dead_letter(held, outcome)
                return
            if verdict is Disposition.WAIT:
                # Alone in its model it was, and may be at fault: that was a try, and the next probe is another job.
                has_failed = is_probe and disposition(outcome) is Disposition.TRY_AGAIN
                if has_failed:
                    held.remember(self._door.clock.now_s(), failed=True)
                await self._let_wait(held, to_end=has_failed)
                return
            held.remember(self._door.clock.now_s(), failed=True)
            if self._signals.stop.is_set():
                await self._endings.requeue(held)
                return
            await self._endings.is_done(lambda: self._door.jobs.remember(held.lease))
            await pause(backoff.next_s(), self._signals.stop)
            outcome = await self._ask(held)

    async def _let_wait(self, held: LeasedJob, to_end: bool) -> None:
        """For its model: at the head of its queue, or aside where jobs for other models may be behind it."""
        if self._are_routed:
            await self.aside.add(held, _model_of(held))
        else:
            await self._endings.requeue(held, to_end=to_end)

    def _verdict(self, error: ServingError, held: LeasedJob, is_probe: bool) -> Disposition:
        """The table's word on `error`, or REFUSE when the job has had its tries or its time. A job that fails where
        all do is not at fault, and waits."""
        settings, name = self._door.settings, _model_of(held)
        verdict = disposition(error)
        is_last = held.tries + 1 >= settings.max_attempts
        if verdict is Disposition.TRY_AGAIN and self._is_paused(name) and not (is_probe and is_last):
            verdict = Disposition.WAIT
        if verdict is Disposition.REFUSE:
            return verdict
        if verdict is Disposition.TRY_AGAIN:
            is_over = is_last
        else:
            waited_s = self._door.clock.waited_s(held.record.first_s) if held.record else 0.0
            is_away = self.aside.is_given_up(name) if self._are_routed else self._is_given_up()
            is_over = is_away or waited_s >= settings.give_up_after_s
        return Disposition.REFUSE if is_over else verdict

    async def _ask_patiently(self, held: LeasedJob, outcome: Outcome | None) -> Outcome | None:
        """An overloaded model is asked again a few times, as a place may be free at any moment and the picture is
        already decoded."""
        backoff = Backoff()
        for _ in range(OVERLOAD_TRIES - 1):
            if not isinstance(outcome, Overloaded) or self._signals.stop.is_set():
                break
            await pause(backoff.next_s(), self._signals.stop)
            outcome = await self._ask(held)
        return outcome

    async def _ask(self, held: LeasedJob) -> Outcome | None:
        assert held.job is not None
        [outcome] = await self._asking.ask([held.job])
        return outcome


def _model_of(held: LeasedJob) -> str | None:
    return held.job.model if held.job else None


def _given_up(held: LeasedJob) -> InternalError:
    return InternalError(f"given up: {held.tries} tries of this job ended without an answer")
