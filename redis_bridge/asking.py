"""Jobs of one queue put to their models, together in one call where they may. Knows no Redis command."""

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
from redis_bridge.door import Door, Signals
from redis_bridge.picture_field import shown
from redis_bridge.wire import Job

logger = logging.getLogger(OWN_LOGGER)

ANSWER_GRACE_S = 2.0
CANCEL_GRACE_S = 1.0


class Asking:
    """The questions of one queue."""

    def __init__(self, queue: str, door: Door, signals: Signals) -> None:
        self._queue = queue
        self._door = door
        self._signals = signals
        self.seconds_a_job = 0.0
        """What the last call took, divided by its jobs."""
        self.call_s = 0.0
        """What it took, 0 before there was one."""

    async def ask(self, jobs: Sequence[Job]) -> list[Outcome | None]:
        """One outcome for each job, in order; None where the work was abandoned meanwhile. Raises nothing."""
        by_model: dict[str | None, list[int]] = {}
        for index, job in enumerate(jobs):
            by_model.setdefault(job.model, []).append(index)
        if len(by_model) == 1:
            return await self._ask_one_model(jobs[0].model, jobs)
        outcomes: list[Outcome | None] = [None] * len(jobs)
        groups = [[jobs[index] for index in indices] for indices in by_model.values()]
        answers = await asyncio.gather(*map(self._ask_one_model, by_model, groups))
        for indices, group in zip(by_model.values(), answers, strict=True):
            for index, outcome in zip(indices, group, strict=True):
                outcomes[index] = outcome
        return outcomes

    async def _ask_one_model(self, name: str | None, jobs: Sequence[Job]) -> list[Outcome | None]:
        model = self._door.model_of(name or self._queue)
        if model is None:
            # A queue's model may come back; a name that a job gives may be any text, and must not hold up the queue.
            wanted: ServingError = ModelNotFound(f"no model answers for queue {self._queue}")
            if name is not None:
                wanted = InvalidRequest(f"the job names a model that does not exist, {shown(name)}")
            return [wanted] * len(jobs)
        if not model.can_answer:
            return [ModelUnavailable(f"model {model.name} is {model.state}: {model.reason}".rstrip(": "))] * len(jobs)
        started_s = time.perf_counter()
        try:
            return await self._outcomes(model, jobs)
        finally:
            self.call_s = time.perf_counter() - started_s
            self.seconds_a_job = self.call_s / len(jobs)
            self._door.recorder.record(metrics.MODEL_SECONDS, self.call_s, self._queue)

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


def _results(asking: "asyncio.Future[list[Outcome]]", count: int) -> list[Outcome | None]:
    if asking.cancelled():
        return [ModelUnavailable("the call to the model was cancelled")] * count
    error = asking.exception()
    outcomes = [] if error else asking.result()
    if len(outcomes) == count:
        return [*outcomes]
    logger.error("a model call raised, or gave %d answers for %d images", len(outcomes), count, exc_info=error)
    return [InternalError("the model failed unexpectedly")] * count
