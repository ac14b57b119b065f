"""Carries out the ends of jobs in Redis: acked, requeued, dead-lettered or parked.

Each job leaves its lease in exactly one of these ways, or stays in it when Redis is away: the next sweep reclaims it.
"""

import logging
import time
from collections.abc import Sequence

from deployments.errors import ServingError
from deployments.logs import OWN_LOGGER
from deployments.origin import about
from deployments.prediction import Outcome
from deployments.watching.watch import Watch, current
from redis_bridge import metrics
from redis_bridge.client.clock import SteadyClock
from redis_bridge.client.connection import REDIS_ERRORS
from redis_bridge.delivery.leased_job import DecodedJob, JobState, LeasedJob
from redis_bridge.delivery.queue_load import GIVEN_BACK, QueueLoad
from redis_bridge.delivery.served_queue import RedisRetry, ServedQueue
from redis_bridge.store.job_store import JobStore
from redis_bridge.store.leases import AckResult, DeadLetter, JobAnswer
from redis_bridge.wire import job_format

logger = logging.getLogger(OWN_LOGGER)

ANSWERED = "ok"
LEFT_IN_SLOT = "left-in-slot"
TAKEN_OVER = "taken-over"

_NO_FAILURE = frozenset({"ok", "given-back", "left-in-slot", "taken-over"})
"""Outcomes that are not an error of the job; all others are codes of errors."""


class Settlement:
    """The ends of one queue's jobs. Nothing here raises."""

    def __init__(
        self, queue: ServedQueue, jobs: JobStore, retry: RedisRetry, clock: SteadyClock, load: QueueLoad
    ) -> None:
        self._queue = queue
        self._jobs = jobs
        self._retry = retry
        self._clock = clock
        self._load = load
        self._watch = current()

    async def ack(self, answered: Sequence[tuple[DecodedJob, Outcome]]) -> list[LeasedJob]:
        """Writes the answers and releases the leases, all at once. Returns the jobs that still lie in their leases,
        as something that is not an answer stands under their keys."""
        answers = [
            JobAnswer(decoded.leased.lease, decoded.job.job_id, job_format.answer(outcome, self._queue.profile))
            for decoded, outcome in answered
        ]
        started_s = time.perf_counter()
        calls = 0

        async def ack() -> list[AckResult]:
            nonlocal calls
            calls += 1
            return await self._jobs.ack(answers)

        results = await self._retry.until_done(ack)
        self._queue.record(metrics.SETTLE_SECONDS, time.perf_counter() - started_s)
        jobs = [decoded.leased for decoded, _ in answered]
        if results is None:
            self._end(jobs, LEFT_IN_SLOT)
            return []
        acked = [leased for leased, result in zip(jobs, results, strict=True) if result is not AckResult.KEY_IS_TAKEN]
        self._end(acked, ANSWERED)
        await self._announce(acked)
        doubles = sum(result is AckResult.DOUBLED for result in results)
        # After a second call the slots may be gone because the first was carried out, and only its response lost.
        if doubles and calls == 1:
            self._queue.record(metrics.DOUBLES, doubles)
        return [leased for leased, result in zip(jobs, results, strict=True) if result is AckResult.KEY_IS_TAKEN]

    async def requeue(self, jobs: Sequence[LeasedJob], to_end: bool = False) -> None:
        """The jobs, oldest first, are the next of their queue, or its last, and their retry records are kept."""
        for leased in jobs:
            leased.lease = leased.lease.remembered(self._clock.now_s())
        leases = [leased.lease for leased in jobs]
        moved = await self._retry.until_done(lambda: self._jobs.requeue(leases, to_end))
        self._end(jobs, LEFT_IN_SLOT if moved is None else GIVEN_BACK)

    async def dead_letter(self, leased: LeasedJob, error: ServingError, tells_client: bool = True) -> None:
        """The job is a dead letter. Its client finds the error, if it has a key for it and `tells_client`."""
        job_id = leased.client.job_id
        answer = None
        if job_id and tells_client:
            answer = JobAnswer(leased.lease, job_id, job_format.answer(error, self._queue.profile))
        letter = DeadLetter(job_id, error.code, error.message, leased.size_bytes)
        result = await self._retry.until_done(lambda: self._jobs.dead_letter(leased.lease, letter, answer))
        if result is None or not result.is_done:
            self._end([leased], LEFT_IN_SLOT if result is None else TAKEN_OVER)
            return
        numbers = ", ".join(map(str, result.dropped_letters))
        bounds = "(setting dead_letter_payloads or dead_letter_payload_bytes)"
        dropped = f"; the job of letter {numbers} had to go for it {bounds}" if numbers else ""
        logger.warning(
            "job %r of queue %s is a dead letter: %s%s",
            job_id,
            self._queue.name,
            error.message,
            dropped,
            extra=about([leased.origin]),
        )
        self._queue.record(metrics.DEAD_LETTERS, 1, error.code)
        self._end([leased], error.code)
        if result.dropped_letters:
            self._queue.record(metrics.DROPPED_LETTERS, len(result.dropped_letters))
        if result.is_answered:
            await self._announce([leased])

    def park(self, leased: LeasedJob) -> None:
        """The job stays in its lease and waits for its model there. Its place is free, and its image is dropped."""
        leased.state = JobState.PARKED
        leased.claims.release_memory()
        leased.claims.place.release()

    def abandon(self, jobs: Sequence[LeasedJob]) -> None:
        """Those of `jobs` that a fault has left without an end stay in their leases: a later bridge reclaims them."""
        self._end([leased for leased in jobs if leased.state is JobState.IN_WORK], LEFT_IN_SLOT)

    async def remember(self, leased: LeasedJob) -> None:
        """Its retry record outlives this bridge."""
        await self._retry.is_done(lambda: self._jobs.remember(leased.lease))

    async def _announce(self, answered: Sequence[LeasedJob]) -> None:
        """Pushes to the done lists. One attempt only: the answers are there, and clients look there too."""
        clients = [leased.client for leased in answered]
        wishes = [(client.done_list, client.job_id) for client in clients if client.done_list and client.job_id]
        if not wishes:
            return
        try:
            await self._jobs.announce(self._queue.name, wishes)
        except REDIS_ERRORS as error:
            self._retry.warn("clients could not be told that their answers are there", error)

    def _end(self, jobs: Sequence[LeasedJob], outcome: str) -> None:
        for leased in jobs:
            leased.state = JobState.OVER
            leased.claims.release_memory()
        if jobs:
            self._load.ended(jobs, outcome)
            if self._watch is not None:
                _note_end(self._watch, self._queue.name, jobs, outcome)


def _note_end(watch: Watch, queue: str, jobs: Sequence[LeasedJob], outcome: str) -> None:
    """Logs and traces the end of these jobs."""
    for leased in jobs:
        if watch.log_requests:
            seconds = time.perf_counter() - leased.leased_at_s
            text = f"job of queue {queue}: {outcome} in {seconds:.4f} s"
            watch.line(text, leased.origin, queue=queue, outcome=outcome, seconds=seconds)
        if leased.span is not None:
            attributes = {"messaging.destination.name": queue, "fathom.outcome": outcome}
            watch.end(leased.span, attributes, "" if outcome in _NO_FAILURE else outcome)
            leased.span = None
