"""Jobs of one queue put to their models, in one call those of one model. Knows no Redis command."""

import asyncio
import logging
import time
from collections.abc import Sequence

from deployments.definition import ModelRecord
from deployments.errors import (
    DeadlineExceeded,
    InternalError,
    InvalidRequest,
    ModelNotFound,
    ModelUnavailable,
    ServingError,
)
from deployments.logs import OWN_LOGGER
from deployments.prediction import Outcome
from deployments.request import Request
from redis_bridge import metrics
from redis_bridge.delivery.circuit_breaker import CircuitBreaker
from redis_bridge.delivery.context import Door, Signals
from redis_bridge.wire.image_field import shown
from redis_bridge.wire.job_format import Job

logger = logging.getLogger(OWN_LOGGER)

ANSWER_GRACE_S = 2.0
CANCEL_GRACE_S = 1.0


class ModelCalls:
    """The questions of one queue."""

    def __init__(self, queue: str, door: Door, signals: Signals) -> None:
        self._queue = queue
        self._door = door
        self._signals = signals
        self.seconds_a_job = 0.0
        """What the last call took, divided by its jobs."""
        self.call_s = 0.0
        """What it took, 0 before there was one."""

    def breaker_of(self, name: str | None) -> CircuitBreaker | None:
        """Of the model that a job names, or with None the queue's own; None when there is no such model."""
        model = self._door.model_of(name or self._queue)
        return None if model is None else self._door.breakers.of(model.name)

    def is_probe_due(self, name: str | None) -> bool:
        """Whether one job may be tried in this model although it is paused."""
        model, breaker = self._door.model_of(name or self._queue), self.breaker_of(name)
        return bool(model and model.can_answer and breaker and breaker.is_paused and breaker.room)

    def is_tried(self, name: str | None) -> bool:
        """Whether this model is paused, and one job is in it, or may be, that tells whether it answers again."""
        model, breaker = self._door.model_of(name or self._queue), self.breaker_of(name)
        return bool(model and model.can_answer and breaker and breaker.is_tried)

    def trouble_of(self, name: str | None) -> ServingError | None:
        """Why jobs are not put to this model now, None where they are."""
        model = self._door.model_of(name or self._queue)
        if model is None:
            # A queue's model may come back; a name that a job gives may be any text, and must not hold up the queue.
            if name is not None:
                return InvalidRequest(f"the job names a model that does not exist, {shown(name)}")
            return ModelNotFound(f"no model answers for queue {self._queue}")
        if not model.can_answer:
            return ModelUnavailable(f"model {model.name} is {model.state}: {model.reason}".rstrip(": "))
        return _paused(model) if self._door.breakers.of(model.name).is_paused else None

    async def ask(self, jobs: Sequence[Job]) -> list[Outcome | None]:
        """One outcome for each job, in order; None where the work was abandoned meanwhile. All name the same model,
        or none. Raises nothing."""
        name = jobs[0].model
        model = self._door.model_of(name or self._queue)
        if model is None or not model.can_answer:
            return [self.trouble_of(name)] * len(jobs)
        breaker = self._door.breakers.of(model.name)
        is_probe = breaker.is_paused
        admitted = jobs[: breaker.admit(len(jobs))]
        outcomes: list[Outcome | None] = [None] * len(admitted)
        try:
            if admitted:
                outcomes = await self._timed(model, admitted)
        finally:
            if breaker.note([job.job_id for job in admitted], outcomes, is_probe and bool(admitted)):
                self._tell(model.name, breaker, outcomes)
        return [*outcomes, *[_paused(model)] * (len(jobs) - len(admitted))]

    async def _timed(self, model: ModelRecord, jobs: Sequence[Job]) -> list[Outcome | None]:
        started_s = time.perf_counter()
        try:
            return await self._outcomes(model, jobs)
        finally:
            self.call_s = time.perf_counter() - started_s
            self.seconds_a_job = self.call_s / len(jobs)
            self._door.recorder.record(metrics.MODEL_SECONDS, self.call_s, self._queue)

    def _tell(self, model: str, breaker: CircuitBreaker, outcomes: Sequence[Outcome | None]) -> None:
        self._door.recorder.record(metrics.PAUSED, int(breaker.is_paused), model)
        if not breaker.is_paused:
            logger.warning("model %s has answered a job: it gets all of them again", model)
            return
        settings = self._door.settings
        logger.error(
            "model %s failed %d different jobs one after the other: its jobs are kept, and one of them is tried "
            "every %g s at least, until one is answered; the last failure: %s",
            model,
            settings.pause_after,
            settings.longest_pause_s,
            next((outcome.message for outcome in outcomes if isinstance(outcome, ServingError)), ""),
        )

    async def _outcomes(self, model: ModelRecord, jobs: Sequence[Job]) -> list[Outcome | None]:
        deadline_s = self._door.settings.job_deadline_s
        waiting = self._door.waiting_for(model.name)
        requests = [Request(job.image, deadline_s=deadline_s, waiting_behind=waiting) for job in jobs]
        asking = asyncio.ensure_future(self._door.predict(model.name, requests))
        abandoned = asyncio.ensure_future(self._signals.abandon.wait())
        try:
            await asyncio.wait(
                {asking, abandoned}, timeout=deadline_s + ANSWER_GRACE_S, return_when=asyncio.FIRST_COMPLETED
            )
            if asking.done():
                return _results(asking, len(jobs))
            asking.cancel()
            await asyncio.wait({asking}, timeout=CANCEL_GRACE_S)
            if asking.done() and not asking.cancelled():
                return _results(asking, len(jobs))
        finally:
            abandoned.cancel()
        if self._signals.abandon.is_set():
            return [None] * len(jobs)
        return [DeadlineExceeded(f"model {model.name} did not answer within {deadline_s:g} s")] * len(jobs)


def _paused(model: ModelRecord) -> ModelUnavailable:
    return ModelUnavailable(f"model {model.name} has failed every job, and is asked little until it answers")


def _results(asking: "asyncio.Future[list[Outcome]]", count: int) -> list[Outcome | None]:
    if asking.cancelled():
        return [ModelUnavailable("the call to the model was cancelled")] * count
    error = asking.exception()
    outcomes = [] if error else asking.result()
    if len(outcomes) == count:
        return [*outcomes]
    logger.error("a model call raised, or gave %d answers for %d images", len(outcomes), count, exc_info=error)
    return [InternalError("the model failed unexpectedly")] * count
