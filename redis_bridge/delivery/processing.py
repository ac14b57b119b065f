"""The life of leased jobs to their end: decoded, put to their model, and then acked, refused, requeued or parked.

Jobs that were reserved together are decoded, asked and acked together; each that fails goes on by itself. Every end
is decided here, in `_end`.
"""

import asyncio
import logging
from collections.abc import Sequence

from deployments.errors import InternalError, InvalidRequest, ServingError
from deployments.logs import OWN_LOGGER
from deployments.origin import about
from deployments.prediction import Outcome
from redis_bridge.client.connection import pause
from redis_bridge.delivery.attempts import Attempts
from redis_bridge.delivery.decoding import Abandoned, JobDecoder
from redis_bridge.delivery.leased_job import Ack, DecodedJob, Ending, JobState, LeasedJob, Park, Refuse, Requeue
from redis_bridge.delivery.parking import Parking
from redis_bridge.delivery.quarantine import Quarantine
from redis_bridge.delivery.settlement import Settlement
from redis_bridge.wire.job_format import Malformed

logger = logging.getLogger(OWN_LOGGER)

PARKING_POLL_INTERVAL_S = 0.1


class Processing:
    """The work on the jobs of one queue."""

    def __init__(
        self,
        decoder: JobDecoder,
        attempts: Attempts,
        settlement: Settlement,
        parking: Parking,
        quarantine: Quarantine,
    ) -> None:
        self._decoder = decoder
        self._attempts = attempts
        self._settlement = settlement
        self._parking = parking
        self._quarantine = quarantine

    @property
    def parked(self) -> int:
        """Jobs that wait for the models that they name."""
        return self._parking.count

    async def run(self, group: Sequence[LeasedJob]) -> None:
        """Brings every job of one queue to its end."""
        suspects = [leased for leased in group if leased.lease.is_suspect]
        others = [leased for leased in group if not leased.lease.is_suspect]
        try:
            if others:
                async with self._quarantine.shared():
                    await self._process(others, asyncio.Event())
            untried = await self._quarantine.try_each(suspects, self._process)
            if untried:
                await self._end(Requeue(untried))
        finally:
            self._settlement.abandon(group)

    async def tend_parked(self, stop: asyncio.Event) -> None:
        """Ends parked jobs that are due, until `stop`."""
        while not stop.is_set():
            for ending in self._parking.due():
                await self._end(ending)
            await pause(PARKING_POLL_INTERVAL_S, stop)

    async def requeue_parked(self) -> None:
        """All parked jobs are the next of their queue again."""
        if jobs := self._parking.take_all():
            await self._end(Requeue(jobs))

    async def _process(self, group: Sequence[LeasedJob], asked: asyncio.Event) -> None:
        """asked: set as soon as jobs are put to their model."""
        try:
            by_model = await self._decode(group)
            # Each by itself, so that none waits for the model of another.
            await asyncio.gather(*(self._try_in_model(jobs, asked) for jobs in by_model.values()))
        except Exception:
            logger.exception(
                "jobs of queue %s met a fault of the bridge",
                group[0].lease.slot.queue,
                extra=about(leased.origin for leased in group),
            )
            left = [leased for leased in group if leased.state is JobState.IN_WORK]
            await self._end(Refuse(left, InternalError("the bridge failed unexpectedly")))

    async def _decode(self, group: Sequence[LeasedJob]) -> dict[str | None, list[DecodedJob]]:
        """The jobs that can be tried, by the model that they name, or None."""
        fresh: list[LeasedJob] = []
        for leased in group:
            if self._attempts.is_exhausted(leased):
                self._decoder.identify(leased)
                await self._end(Refuse([leased], _exhausted(leased)))
            else:
                fresh.append(leased)
        by_model: dict[str | None, list[DecodedJob]] = {}
        for leased, found in await self._decoder.decode(fresh) if fresh else ():
            match found:
                case DecodedJob(job=job):
                    by_model.setdefault(job.model, []).append(found)
                case Malformed(error=error):
                    await self._end(Refuse([leased], error))
                case Abandoned():
                    await self._end(Requeue([leased]))
        return by_model

    async def _try_in_model(self, jobs: Sequence[DecodedJob], asked: asyncio.Event) -> None:
        """Jobs that name the same model, or none."""
        model = jobs[0].job.model
        if self._attempts.is_crowded(model):
            for decoded in jobs:
                await self._end(Park(decoded.leased, model))
            return
        asked.set()
        is_probe = self._attempts.is_paused(model)
        outcomes = await self._attempts.first(jobs)
        answered: list[tuple[DecodedJob, Outcome]] = []
        failed: list[tuple[DecodedJob, ServingError | None]] = []
        for decoded, outcome in zip(jobs, outcomes, strict=True):
            if outcome is None or isinstance(outcome, ServingError):
                failed.append((decoded, outcome))
            else:
                answered.append((decoded, outcome))
        if answered:
            await self._end(Ack(answered))
        await asyncio.gather(*(self._try_again(decoded, outcome, is_probe) for decoded, outcome in failed))

    async def _try_again(self, decoded: DecodedJob, outcome: ServingError | None, is_probe: bool) -> None:
        await self._end(await self._attempts.ending_of(decoded, outcome, is_probe))

    async def _end(self, ending: Ending) -> None:
        match ending:
            case Ack(answered):
                for leased in await self._settlement.ack(answered):
                    await self._end(Refuse([leased], _key_is_taken(leased), tells_client=False))
            case Refuse(jobs, error, tells_client):
                for leased in jobs:
                    await self._settlement.dead_letter(leased, error, tells_client)
            case Requeue(jobs, to_end):
                await self._settlement.requeue(jobs, to_end)
            case Park(leased) if self._parking.is_full:
                await self._settlement.requeue([leased], to_end=True)
            case Park(leased, model):
                self._settlement.park(leased)
                self._parking.add(leased, model)


def _exhausted(leased: LeasedJob) -> InternalError:
    return InternalError(f"given up: {leased.lease.attempts} attempts of this job ended without an answer")


def _key_is_taken(leased: LeasedJob) -> InvalidRequest:
    key = leased.client.job_id
    return InvalidRequest(f"id must not be the name of an existing key that is not an answer, got {key!r}")
