"""One job's life between its slot and its end: decoded, tried, and then answered, buried or given back.

Knows neither Redis commands nor JSON. Whatever happens the job leaves its slot in exactly one of these ways, or
stays in it when Redis is away, where the next sweep finds it.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from deployments.errors import (
    DeadlineExceeded,
    InternalError,
    InvalidRequest,
    ModelNotFound,
    ModelUnavailable,
    Overloaded,
    ServingError,
)
from deployments.metrics import outcome_code
from deployments.prediction import Outcome
from deployments.request import Image, Request
from redis_bridge import metrics, wire
from redis_bridge.connection import Backoff, pause, until_done
from redis_bridge.door import Door, Signals
from redis_bridge.in_flight import Hold
from redis_bridge.jobs import Attempt, DeadLetter
from redis_bridge.keys import Slot
from redis_bridge.wire import Disposition, Job, Malformed, WireLimits

logger = logging.getLogger("ray.serve")

GIVEN_BACK = "given-back"
LEFT_IN_SLOT = "left-in-slot"

OVERLOAD_TRIES = 6
ANSWER_GRACE_S = 2.0
CANCEL_GRACE_S = 1.0

T = TypeVar("T")


class Work:
    """The work on the jobs of one queue. is_given_up: whether its model has been away for too long."""

    def __init__(self, queue: str, door: Door, signals: Signals, is_given_up: Callable[[], bool]) -> None:
        self._queue = queue
        self._door = door
        self._signals = signals
        self._is_given_up = is_given_up
        self._limits = WireLimits(door.settings.max_job_bytes)

    async def run(self, slot: Slot, payload: bytes, hold: Hold) -> str:
        """Brings the job in `slot` to its end. Answers what became of it, for the metrics; raises nothing.

        payload: the job's text, which is let go of as soon as it is decoded.
        """
        size_bytes = len(payload)
        job_id = None
        try:
            parsed = await self._parse(payload)
            del payload
            job_id = parsed.job_id
            if isinstance(parsed, Malformed):
                hold.resize(0)
                return await self._refuse(slot, parsed, size_bytes)
            hold.resize(parsed.image.nbytes)
            return await self._try_until_over(slot, parsed, size_bytes)
        except Exception:
            logger.exception("a job of queue %s met a fault of the bridge", self._queue)
            error = InternalError("the bridge failed unexpectedly")
            return await self._bury(slot, job_id, error, size_bytes)

    async def _parse(self, payload: bytes) -> Job | Malformed:
        started_s = time.perf_counter()
        parsed = await asyncio.get_running_loop().run_in_executor(
            self._door.threads, wire.parse_job, payload, self._limits, self._door.taken_keys()
        )
        self._record(metrics.DECODE_SECONDS, time.perf_counter() - started_s)
        return parsed

    async def _refuse(self, slot: Slot, malformed: Malformed, size_bytes: int) -> str:
        job_id = malformed.job_id
        if job_id is not None:
            begun_id = job_id
            attempt = await self._until_done(lambda: self._door.jobs.begin(slot, begun_id))
            if attempt is None:
                return LEFT_IN_SLOT
            if not attempt.can_be_answered:
                job_id = None
        return await self._bury(slot, job_id, malformed.error, size_bytes)

    async def _try_until_over(self, slot: Slot, job: Job, size_bytes: int) -> str:
        backoff = Backoff()
        while True:
            attempt = await self._until_done(lambda: self._door.jobs.begin(slot, job.job_id))
            if attempt is None:
                return LEFT_IN_SLOT
            if not attempt.can_be_answered:
                return await self._bury(slot, None, _id_is_taken(job.job_id), size_bytes)
            if attempt.number > self._door.settings.max_attempts:
                return await self._bury(slot, job.job_id, _given_up(attempt), size_bytes)
            outcome = await self._ask(job.image)
            if outcome is None:
                return await self._give_back(slot, job.job_id, counts=False)
            if not isinstance(outcome, ServingError):
                return await self._settle(slot, job.job_id, outcome)
            verdict = self._verdict(outcome, attempt)
            if verdict is Disposition.REFUSE:
                return await self._bury(slot, job.job_id, outcome, size_bytes)
            if verdict is Disposition.WAIT or self._signals.stop.is_set():
                return await self._give_back(slot, job.job_id, counts=verdict is Disposition.TRY_AGAIN)
            await pause(backoff.next_s(), self._signals.stop)

    def _verdict(self, error: ServingError, attempt: Attempt) -> Disposition:
        """The table's word on `error`, or REFUSE when the job has had its tries or its time."""
        settings = self._door.settings
        verdict = wire.disposition(error)
        waited_s = time.time() - attempt.first_s
        is_over = {
            Disposition.REFUSE: True,
            Disposition.TRY_AGAIN: attempt.number >= settings.max_attempts,
            Disposition.WAIT: self._is_given_up() or waited_s >= settings.give_up_after_s,
        }
        return Disposition.REFUSE if is_over[verdict] else verdict

    async def _ask(self, image: Image) -> Outcome | None:
        """The model's outcome; None when the work is abandoned meanwhile. An overloaded model is asked again a
        few times, as a place may be free at any moment and the picture is already decoded."""
        backoff = Backoff()
        for _ in range(OVERLOAD_TRIES):
            outcome = await self._ask_once(image)
            if not isinstance(outcome, Overloaded) or self._signals.stop.is_set():
                break
            await pause(backoff.next_s(), self._signals.stop)
        return outcome

    async def _ask_once(self, image: Image) -> Outcome | None:
        model = self._door.model_of(self._queue)
        if model is None:
            return ModelNotFound(f"no model answers for queue {self._queue}")
        if not model.can_answer:
            return ModelUnavailable(f"model {model.name} is {model.state}: {model.reason}".rstrip(": "))
        deadline_s = self._door.settings.job_deadline_s
        started_s = time.perf_counter()
        asking = asyncio.ensure_future(self._door.predict(model.name, [Request(image, deadline_s=deadline_s)]))
        abandoned = asyncio.ensure_future(self._signals.abandon.wait())
        try:
            await asyncio.wait(
                {asking, abandoned}, timeout=deadline_s + ANSWER_GRACE_S, return_when=asyncio.FIRST_COMPLETED
            )
            if not asking.done():
                asking.cancel()
                await asyncio.wait({asking}, timeout=CANCEL_GRACE_S)
                if asking.done() and not asking.cancelled():
                    return _only_outcome(asking)
                if self._signals.abandon.is_set():
                    return None
                return DeadlineExceeded(f"model {model.name} did not answer within {deadline_s:g} s")
            return _only_outcome(asking)
        finally:
            abandoned.cancel()
            self._record(metrics.MODEL_SECONDS, time.perf_counter() - started_s)

    async def _settle(self, slot: Slot, job_id: str, outcome: Outcome) -> str:
        answer = wire.answer(outcome)

        async def settle() -> bool:
            await self._door.jobs.settle(slot, job_id, answer)
            return True

        return outcome_code(outcome) if await self._until_done(settle) else LEFT_IN_SLOT

    async def _give_back(self, slot: Slot, job_id: str, counts: bool) -> str:
        moved = await self._until_done(lambda: self._door.jobs.give_back(slot, job_id, counts))
        return LEFT_IN_SLOT if moved is None else GIVEN_BACK

    async def _bury(self, slot: Slot, job_id: str | None, error: ServingError, size_bytes: int) -> str:
        letter = DeadLetter(job_id, error.code, error.message, size_bytes)

        async def bury() -> bool:
            await self._door.jobs.bury(slot, letter, wire.answer(error))
            return True

        if not await self._until_done(bury):
            return LEFT_IN_SLOT
        logger.warning("job %r of queue %s is a dead letter: %s", job_id, self._queue, error.message)
        self._door.recorder.record(metrics.DEAD_LETTERS, 1, self._queue, error.code)
        return error.code

    async def _until_done(self, command: Callable[[], Awaitable[T]]) -> T | None:
        return await until_done(command, self._signals.abandon, self._on_trouble)

    def _on_trouble(self, error: Exception) -> None:
        self._door.note_trouble("a job could not be moved or answered", error)

    def _record(self, metric: metrics.Metric, value: float) -> None:
        self._door.recorder.record(metric, value, self._queue)


def _only_outcome(asking: "asyncio.Future[list[Outcome]]") -> Outcome:
    if asking.cancelled():
        return ModelUnavailable("the call to the model was cancelled")
    error = asking.exception()
    if error is not None:
        logger.error("a model call raised instead of answering", exc_info=error)
        return InternalError("the model failed unexpectedly")
    return asking.result()[0]


def _given_up(attempt: Attempt) -> InternalError:
    return InternalError(f"given up: {attempt.number - 1} tries of this job ended without an answer")


def _id_is_taken(job_id: str) -> InvalidRequest:
    return InvalidRequest(f"id must not be the name of an existing key that is no answer, got {job_id!r}")
