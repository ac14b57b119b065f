"""The models of the running system, and the calls by which jobs of one queue are put to them."""

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence

from deployments.catalogue import Catalogue, ModelRecord, ModelState
from deployments.client.protocols import Predict
from deployments.errors import (
    DeadlineExceeded,
    InternalError,
    InvalidRequest,
    ModelNotFound,
    ModelUnavailable,
    ServingError,
)
from deployments.logs import OWN_LOGGER
from deployments.origin import about, shown_id
from deployments.prediction import Outcome
from deployments.request import Request
from redis_bridge import metrics
from redis_bridge.delivery.circuit_breaker import CircuitBreaker, CircuitBreakers
from redis_bridge.delivery.served_queue import ServedQueue, done_or_set
from redis_bridge.settings import BridgeSettings
from redis_bridge.wire.image_field import shown
from redis_bridge.wire.job_format import Job

logger = logging.getLogger(OWN_LOGGER)

ANSWER_MARGIN_S = 2.0
"""How much later than its deadline a call may return."""

CANCEL_TIMEOUT_S = 1.0
"""How long a cancelled call may take to end."""

QUICK_CALL_S = 0.1
"""Jobs go to the model together while a call takes no longer: its answers come all at once."""


class Models:
    """Finds a model by its name or by the name of its queue; each has one circuit breaker for all queues."""

    def __init__(self, predict: Predict, catalogue: Catalogue, settings: BridgeSettings) -> None:
        self.predict = predict
        self.waiting: Mapping[str, int] = {}
        """Model -> jobs that wait for it in Redis, as last measured."""
        self._catalogue = catalogue
        self._breakers = CircuitBreakers(settings.pause_after, settings.longest_pause_s)

    def find(self, name: str) -> ModelRecord | None:
        """The model of this name, or that answers for the queue of this name; None when there is none now."""
        try:
            model = self._catalogue.resolve(name)
        except ModelNotFound:
            return None
        return None if model.state is ModelState.STOPPING else model

    def by_queue(self) -> dict[str, ModelRecord]:
        """Every queue that a model lists, with the model that answers for it, sorted by queue."""
        queues = {queue for record in self._catalogue.records() for queue in record.definition.queues}
        models = {queue: self.find(queue) for queue in sorted(queues)}
        return {queue: model for queue, model in models.items() if model is not None}

    def breaker_of(self, model: ModelRecord) -> CircuitBreaker:
        """The circuit breaker of `model`."""
        return self._breakers.of(model.name)


class ModelCalls:
    """The calls for one queue. Where a method takes the `name` of a model, None is the queue's own."""

    def __init__(self, queue: ServedQueue, models: Models) -> None:
        self._queue = queue
        self._models = models
        self._seconds_per_job = 0.0
        self._call_s = 0.0

    @property
    def is_quick(self) -> bool:
        """Whether the last call took next to no time; False before there was one."""
        return 0 < self._call_s < QUICK_CALL_S

    def most_together(self) -> int:
        """How many jobs may share a call, so that the first need not wait long for the last."""
        return max(1, int(QUICK_CALL_S / max(self._seconds_per_job, 1e-6)))

    def breaker_of(self, name: str | None) -> CircuitBreaker | None:
        """The circuit breaker of a model; None when there is no such model."""
        model = self._find(name)
        return None if model is None else self._models.breaker_of(model)

    def is_paused(self, name: str | None) -> bool:
        """Whether this model fails every job."""
        breaker = self.breaker_of(name)
        return breaker is not None and breaker.is_paused

    def is_crowded(self, name: str | None) -> bool:
        """Whether this model takes no job now, or half the places of the queue wait for it already."""
        breaker = self.breaker_of(name)
        if breaker is None:
            return False
        return not breaker.room or breaker.stalled >= max(1, self._queue.settings.slots_per_queue // 2)

    def is_probe_due(self, name: str | None) -> bool:
        """Whether one job may be put to this model although it is paused."""
        model, breaker = self._find(name), self.breaker_of(name)
        return bool(model and model.can_answer and breaker and breaker.is_paused and breaker.room)

    def is_probed(self, name: str | None) -> bool:
        """Whether this model is paused, and one job is in it, or may be, that shows whether it answers again."""
        model, breaker = self._find(name), self.breaker_of(name)
        return bool(model and model.can_answer and breaker and breaker.is_probed)

    def unavailable(self, name: str | None) -> ServingError | None:
        """Why jobs are not put to this model now, None where they are."""
        model = self._find(name)
        if model is None:
            # A queue's model may come back; a name that a job gives may be any text, and must not hold up the queue.
            if name is not None:
                return InvalidRequest(f"the job names a model that does not exist, {shown(name)}")
            return ModelNotFound(f"no model answers for queue {self._queue.name}")
        if not model.can_answer:
            return model.unavailable()
        return _paused(model) if self._models.breaker_of(model).is_paused else None

    async def ask(self, jobs: Sequence[Job]) -> list[Outcome | None]:
        """One outcome for each job, in order; None where the work was abandoned meanwhile. All name the same model,
        or none. Raises nothing."""
        name = jobs[0].model
        model = self._find(name)
        if model is None or not model.can_answer:
            return [self.unavailable(name)] * len(jobs)
        breaker = self._models.breaker_of(model)
        is_probe = breaker.is_paused
        admitted = jobs[: breaker.admit(len(jobs))]
        outcomes: list[Outcome | None] = [None] * len(admitted)
        try:
            if admitted:
                outcomes = await self._timed(model, admitted)
        finally:
            if breaker.note([job.job_id for job in admitted], outcomes, is_probe and bool(admitted)):
                self._log_change(model.name, breaker, outcomes)
        return [*outcomes, *[_paused(model)] * (len(jobs) - len(admitted))]

    def _find(self, name: str | None) -> ModelRecord | None:
        return self._models.find(name or self._queue.name)

    async def _timed(self, model: ModelRecord, jobs: Sequence[Job]) -> list[Outcome | None]:
        started_s = time.perf_counter()
        try:
            return await self._outcomes(model, jobs)
        finally:
            self._call_s = time.perf_counter() - started_s
            self._seconds_per_job = self._call_s / len(jobs)
            self._queue.record(metrics.MODEL_SECONDS, self._call_s)

    def _log_change(self, model: str, breaker: CircuitBreaker, outcomes: Sequence[Outcome | None]) -> None:
        self._queue.recorder.record(metrics.PAUSED, int(breaker.is_paused), model)
        if not breaker.is_paused:
            logger.warning("model %s has answered a job: it gets all of them again", model)
            return
        settings = self._queue.settings
        logger.error(
            "model %s failed %d different jobs one after the other: its jobs are kept, and one of them is tried "
            "every %g s at least, until one is answered; the last failure: %s",
            model,
            settings.pause_after,
            settings.longest_pause_s,
            next((outcome.message for outcome in outcomes if isinstance(outcome, ServingError)), ""),
        )

    async def _outcomes(self, model: ModelRecord, jobs: Sequence[Job]) -> list[Outcome | None]:
        deadline_s = self._queue.settings.job_deadline_s
        waiting = self._models.waiting.get(model.name)
        requests = [
            Request(
                job.image,
                deadline_s=deadline_s,
                waiting_behind=waiting,
                request_id=shown_id(job.job_id),
                traceparent=job.traceparent,
            )
            for job in jobs
        ]
        call = asyncio.ensure_future(self._models.predict(model.name, requests))
        abandon = self._queue.signals.abandon
        await done_or_set(call, abandon, deadline_s + ANSWER_MARGIN_S)
        if call.done():
            return _results(call, requests)
        call.cancel()
        await asyncio.wait({call}, timeout=CANCEL_TIMEOUT_S)
        if call.done() and not call.cancelled():
            return _results(call, requests)
        if abandon.is_set():
            return [None] * len(jobs)
        return [DeadlineExceeded(f"model {model.name} did not answer within {deadline_s:g} s")] * len(jobs)


def _paused(model: ModelRecord) -> ModelUnavailable:
    return ModelUnavailable(f"model {model.name} has failed every job, and few jobs are put to it until it answers")


def _results(call: "asyncio.Future[list[Outcome]]", requests: Sequence[Request]) -> list[Outcome | None]:
    count = len(requests)
    if call.cancelled():
        return [ModelUnavailable("the call to the model was cancelled")] * count
    error = call.exception()
    outcomes = [] if error else call.result()
    if len(outcomes) == count:
        return [*outcomes]
    logger.error(
        "a model call raised, or gave %d answers for %d images",
        len(outcomes),
        count,
        exc_info=error,
        extra=about(one.origin for one in requests),
    )
    return [InternalError("the model failed unexpectedly")] * count
