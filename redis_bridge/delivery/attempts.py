"""Attempts of decoded jobs in their models, until it is clear how each job ends."""

import asyncio
from collections.abc import Sequence

from deployments.errors import Overloaded, ServingError
from deployments.prediction import Outcome
from redis_bridge.client.connection import Backoff, pause
from redis_bridge.delivery.leased_job import Ack, DecodedJob, Ending, LeasedJob, Park, Refuse, Requeue
from redis_bridge.delivery.model_calls import ModelCalls
from redis_bridge.delivery.retry_policy import Disposition, RetryPolicy, disposition
from redis_bridge.delivery.served_queue import ServedQueue
from redis_bridge.delivery.settlement import Settlement

OVERLOAD_ATTEMPTS = 6

STALL_S = 2.0
"""Jobs that name their model leave their places to others when it takes longer."""


class Attempts:
    """The attempts of one queue's jobs."""

    def __init__(self, queue: ServedQueue, calls: ModelCalls, policy: RetryPolicy, settlement: Settlement) -> None:
        self._queue = queue
        self._calls = calls
        self._policy = policy
        self._settlement = settlement

    def is_crowded(self, model: str | None) -> bool:
        """Whether jobs that name this model are parked: there are enough in it."""
        return self._queue.is_routed and self._calls.is_crowded(model)

    def is_paused(self, model: str | None) -> bool:
        """Whether a job that is put to this model now is a probe."""
        return self._calls.is_paused(model)

    def is_exhausted(self, leased: LeasedJob) -> bool:
        """Whether the job has had all its attempts."""
        return self._policy.is_exhausted(leased.lease)

    async def first(self, jobs: Sequence[DecodedJob]) -> Sequence[Outcome | None]:
        """The outcome of each job's first attempt, None where the work was abandoned. All name the same model, or
        none. In a queue of several models jobs that take long leave their places to those for other models."""
        asked = self._calls.ask([decoded.job for decoded in jobs])
        if not self._queue.is_routed:
            return await asked
        call = asyncio.create_task(asked)
        await asyncio.wait({call}, timeout=STALL_S)
        breaker = self._calls.breaker_of(jobs[0].job.model)
        if call.done() or breaker is None:
            return await call
        for decoded in jobs:
            decoded.leased.claims.place.release()
        breaker.stalled += len(jobs)
        try:
            return await call
        finally:
            breaker.stalled -= len(jobs)

    async def ending_of(self, decoded: DecodedJob, outcome: Outcome | None, is_probe: bool) -> Ending:
        """How a job ends whose first attempt had this `outcome`, after as many more attempts as it gets.

        is_probe: it was tried to see whether its model answers again.
        """
        backoff = Backoff()
        while True:
            if isinstance(outcome, Overloaded):
                outcome = await self._ask_overloaded(decoded, outcome)
            ending = self._ending_after(decoded, outcome, is_probe)
            if ending is not None:
                return ending
            await self._settlement.remember(decoded.leased)
            await pause(backoff.next_s(), self._queue.signals.stop)
            outcome = await self._ask(decoded)

    def _ending_after(self, decoded: DecodedJob, outcome: Outcome | None, is_probe: bool) -> Ending | None:
        """None when the job is to be tried again."""
        leased, model = decoded.leased, decoded.job.model
        if outcome is None:
            return Requeue([leased])
        leased.lease = leased.lease.survived()
        if not isinstance(outcome, ServingError):
            return Ack([(decoded, outcome)])
        match self._policy.verdict(outcome, leased.lease, model, self._calls.is_paused(model), is_probe):
            case Disposition.REFUSE:
                return Refuse([leased], outcome)
            case Disposition.WAIT:
                # It was alone in its model, and may be at fault: an attempt, and the next probe is another job.
                has_failed = is_probe and disposition(outcome) is Disposition.TRY_AGAIN
                if has_failed:
                    leased.lease = self._policy.after_failure(leased.lease)
                return Park(leased, model) if self._queue.is_routed else Requeue([leased], to_end=has_failed)
            case Disposition.TRY_AGAIN:
                leased.lease = self._policy.after_failure(leased.lease)
                return Requeue([leased]) if self._queue.signals.stop.is_set() else None

    async def _ask_overloaded(self, decoded: DecodedJob, outcome: Outcome | None) -> Outcome | None:
        """Asks an overloaded model again a few times: it may have room at any moment, and the image is decoded
        already."""
        backoff = Backoff()
        for _ in range(OVERLOAD_ATTEMPTS - 1):
            if not isinstance(outcome, Overloaded) or self._queue.signals.stop.is_set():
                break
            await pause(backoff.next_s(), self._queue.signals.stop)
            outcome = await self._ask(decoded)
        return outcome

    async def _ask(self, decoded: DecodedJob) -> Outcome | None:
        [outcome] = await self._calls.ask([decoded.job])
        return outcome
