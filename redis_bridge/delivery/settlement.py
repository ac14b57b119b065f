"""The ways out of a slot: answered, given back, or buried. Knows neither JSON nor how a job came to its end.

Whatever happens a job leaves its slot in exactly one of these ways, or stays in it when Redis is away, where the
next sweep finds it.
"""

import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from deployments.errors import InvalidRequest, ServingError
from deployments.logs import OWN_LOGGER
from deployments.prediction import Outcome
from redis_bridge import metrics
from redis_bridge.client.connection import REDIS_ERRORS, until_done
from redis_bridge.delivery.context import Door, Signals
from redis_bridge.delivery.leased_job import Ended, LeasedJob
from redis_bridge.store.leases import AckResult, Answer, DeadLetter
from redis_bridge.wire import job_format

logger = logging.getLogger(OWN_LOGGER)

ANSWERED = "ok"
GIVEN_BACK = "given-back"
LEFT_IN_SLOT = "left-in-slot"
TAKEN_OVER = "taken-over"
SET_ASIDE = "set-aside"

T = TypeVar("T")


class Settlement:
    """The ends of one queue's jobs. ended: told of every job that has come to its end. Nothing here raises."""

    def __init__(self, queue: str, door: Door, signals: Signals, ended: Ended) -> None:
        self._queue = queue
        self._door = door
        self._signals = signals
        self._ended = ended
        self._profile = door.settings.profile_of(queue)

    async def ack(self, answered: Sequence[tuple[LeasedJob, Outcome]]) -> None:
        """The clients find their answers, all at once."""
        answers = [
            Answer(held.lease, held.job_id or "", job_format.answer(outcome, self._profile))
            for held, outcome in answered
        ]
        started_s = time.perf_counter()
        tries = 0

        async def ack() -> list[AckResult]:
            nonlocal tries
            tries += 1
            return await self._door.jobs.ack(answers)

        results = await self.until_done(ack)
        self._record(metrics.SETTLE_SECONDS, time.perf_counter() - started_s)
        jobs = [held for held, _ in answered]
        if results is None:
            self._end(jobs, LEFT_IN_SLOT)
            return
        settled = [held for held, result in zip(jobs, results, strict=True) if result is not AckResult.KEY_IS_TAKEN]
        self._end(settled, ANSWERED)
        await self._announce(settled)
        doubles = sum(result is AckResult.DOUBLED for result in results)
        # After a second try the slots may be gone because the first was carried out, and only its answer lost.
        if doubles and tries == 1:
            self._record(metrics.DOUBLES, doubles)
        for held, result in zip(jobs, results, strict=True):
            if result is AckResult.KEY_IS_TAKEN:
                await self.dead_letter(held, _key_is_taken(held.job_id or ""), has_answer=False)

    async def requeue(self, *jobs: LeasedJob, to_end: bool = False) -> None:
        """The jobs, oldest first, are the next of their queue, or its last, and their records are kept."""
        for held in jobs:
            held.remember(self._door.clock.now_s())
        lease = [held.lease for held in jobs]
        moved = await self.until_done(lambda: self._door.jobs.requeue(lease, to_end))
        self._end(list(jobs), LEFT_IN_SLOT if moved is None else GIVEN_BACK)

    def set_aside(self, held: LeasedJob) -> None:
        """The job stays in its slot and waits for its model there: its place is that of others, and nothing of it is
        kept but what its end needs."""
        held.is_aside = True
        held.job = None
        held.hold.release()
        held.text_hold.release()
        self.lend_places([held])

    def lend_places(self, jobs: Sequence[LeasedJob]) -> None:
        """The places of these jobs are those of others, although they are not over."""
        placed = [held for held in jobs if held.has_place]
        if placed:
            self._ended(placed, SET_ASIDE)

    async def dead_letter(self, held: LeasedJob, error: ServingError, has_answer: bool = True) -> None:
        """The client is told the error, if it has a key for it, and the job is a dead letter."""
        job_id = held.job_id
        answer = (
            Answer(held.lease, job_id, job_format.answer(error, self._profile)) if job_id and has_answer else None
        )
        letter = DeadLetter(job_id, error.code, error.message, held.size_bytes)
        buried = await self.until_done(lambda: self._door.jobs.dead_letter(held.lease, letter, answer))
        if buried is None or not buried.is_done:
            self._end([held], LEFT_IN_SLOT if buried is None else TAKEN_OVER)
            return
        dropped = (
            f"; the job of letter {buried.dropped_letter} had to go for it (setting dead_letter_payloads)"
            if buried.dropped_letter
            else ""
        )
        logger.warning("job %r of queue %s is a dead letter: %s%s", job_id, self._queue, error.message, dropped)
        self._door.recorder.record(metrics.DEAD_LETTERS, 1, self._queue, error.code)
        self._end([held], error.code)
        if buried.dropped_letter:
            self._record(metrics.DROPPED_LETTERS, 1)
        if buried.is_answered:
            await self._announce([held])

    async def _announce(self, answered: Sequence[LeasedJob]) -> None:
        """Tells those who wish it. Tried once and last: the answers are there, and who waits looks there too."""
        wishes = [(held.done_list, held.job_id) for held in answered if held.done_list and held.job_id]
        if not wishes:
            return
        try:
            await self._door.jobs.announce(self._queue, wishes)
        except REDIS_ERRORS as error:
            self._door.troubles.tell("clients could not be told that their answers are there", error)

    def leave(self, group: Sequence[LeasedJob]) -> None:
        """Of `group`, the jobs that a fault has left without an end: a later bridge takes them over."""
        self._end([held for held in group if not held.is_over and not held.is_aside], LEFT_IN_SLOT)

    async def is_done(self, command: Callable[[], Awaitable[None]]) -> bool:
        """Whether a command that answers nothing was carried out before the work was abandoned."""

        async def done() -> bool:
            await command()
            return True

        return bool(await self.until_done(done))

    async def until_done(self, command: Callable[[], Awaitable[T]]) -> T | None:
        """The result of `command`, repeated while Redis is in trouble; None when the work was abandoned."""
        return await until_done(command, self._signals.abandon, self._on_trouble)

    def _end(self, jobs: list[LeasedJob], outcome: str) -> None:
        for held in jobs:
            held.is_over = True
            held.hold.release()
            held.text_hold.release()
        if jobs:
            self._ended(jobs, outcome)

    def _on_trouble(self, error: Exception) -> None:
        self._door.note_trouble("a job could not be moved or answered", error)

    def _record(self, metric: metrics.Metric, value: float) -> None:
        self._door.recorder.record(metric, value, self._queue)


def _key_is_taken(key: str) -> InvalidRequest:
    return InvalidRequest(f"id must not be the name of an existing key that is no answer, got {key!r}")
