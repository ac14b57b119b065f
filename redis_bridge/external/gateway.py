"""The way to external workers: legacy processes that take jobs from queues of their own on the same Redis.

Writes jobs, passes answers on, and leaves nothing behind. The HTTP door calls it through
`deployments.external.AskExternal`.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import OutOfMemoryError, RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

from deployments.errors import (
    DeadlineExceeded,
    InternalError,
    ModelNotFound,
    ModelUnavailable,
    Overloaded,
    ServingError,
)
from deployments.external import ExternalRequest, ExternalWorker
from deployments.logs import OWN_LOGGER
from deployments.origin import about
from deployments.prediction import Opaque, outcome_code
from redis_bridge import metrics
from redis_bridge.admission.limits import ByteReservation, InFlightBytes
from redis_bridge.client.connection import REDIS_ERRORS
from redis_bridge.external.answers import ExternalAnswers
from redis_bridge.external.store import ExternalJobStore
from redis_bridge.external.wire import ExternalJob, checked_answer, file_bytes, job_text, needed_bytes
from redis_bridge.metrics import NoRecorder, Recorder
from redis_bridge.settings import BridgeSettings

logger = logging.getLogger(OWN_LOGGER)

JOBS_WRITTEN_AT_ONCE = 2
"""Payloads of tens of megabytes in memory at the same time."""

MAX_WORKERS, LONGEST_NAME = 1000, 256
"""Of the queues that are told to the doors: anybody may write into the registry, and each door lists them all."""

Entry = Mapping[str, Any]


class ExternalGateway:
    """Asks external workers, from `start` to `stop`."""

    def __init__(
        self,
        store: ExternalJobStore,
        settings: BridgeSettings,
        queues: Callable[[], Mapping[str, Entry | None] | None],
        recorder: Recorder | None = None,
        in_flight: InFlightBytes | None = None,
    ) -> None:
        """queues: the queues of external workers, each with its registry entry or None; None until they are known.
        in_flight: the byte budget that payloads being written share with the bridge's jobs."""
        self._store = store
        self._settings = settings
        self._queues = queues
        self._recorder = recorder or NoRecorder()
        self._in_flight = in_flight or InFlightBytes(settings.max_in_flight_bytes)
        self._threads = ThreadPoolExecutor(JOBS_WRITTEN_AT_ONCE, thread_name_prefix="external")
        self._writing = asyncio.Semaphore(JOBS_WRITTEN_AT_ONCE)
        self._answers = ExternalAnswers(store)
        self._leaving: set[asyncio.Task[None]] = set()
        self._clients = 0
        self._one_left = asyncio.Event()

    def start(self) -> None:
        """Begins, in the background; Redis may still be away."""
        self._answers.start()

    def check(self) -> None:
        """Raises RuntimeError when a loop has died, for a health check."""
        self._answers.check()

    async def stop(self, withdraw_s: float = 5.0) -> None:
        """Ends all waiting, and takes back jobs that no worker has taken yet."""
        await self._answers.stop()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(withdraw_s):
                # A job that is still being written cannot be taken back yet.
                while self._clients:
                    self._one_left.clear()
                    await self._one_left.wait()
                if self._leaving:
                    await asyncio.wait(self._leaving)
        self._threads.shutdown(wait=False)

    def workers(self) -> tuple[ExternalWorker, ...] | None:
        """The external workers, sorted by queue; None until they are known. MAX_WORKERS at most, the
        configured ones before others."""
        queues = self._queues()
        if queues is None:
            return None
        reason = self._answers.reason
        configured = self._settings.external_queues
        names = sorted((queue not in configured, queue) for queue in queues if len(queue) <= LONGEST_NAME)
        told = sorted(queue for _, queue in names[:MAX_WORKERS])
        return tuple(ExternalWorker(queue, _description(queues[queue]), reason) for queue in told)

    async def ask(self, queue: str, request: ExternalRequest) -> Opaque | ServingError:
        """The worker's answer, or why there is none. Raises only when it is cancelled."""
        queues = self._queues()
        if queues is None:
            return ModelUnavailable("the registry of external workers has not been read yet; try again")
        if queue not in queues:
            return ModelNotFound(f"no external worker is registered for queue {queue!r}")
        started_s = time.perf_counter()
        outcome = await self._outcome(queue, request)
        self._recorder.record(metrics.EXTERNAL_JOBS, 1, queue, outcome_code(outcome))
        self._recorder.record(metrics.EXTERNAL_SECONDS, time.perf_counter() - started_s, queue)
        return outcome

    async def _outcome(self, queue: str, request: ExternalRequest) -> Opaque | ServingError:
        if self._clients >= self._settings.max_external_jobs:
            return Overloaded(f"{self._clients} jobs wait for external workers already; try again later")
        self._clients += 1
        try:
            return await self._ask(ExternalJob(queue, request))
        except ServingError as error:
            return error
        except REDIS_ERRORS as error:
            return self._as_serving_error(queue, error)
        except Exception:
            logger.exception(
                "a job for the external worker of queue %s met a fault of the bridge",
                queue,
                extra=about([request.origin]),
            )
            return InternalError("the bridge failed unexpectedly")
        finally:
            self._clients -= 1
            self._one_left.set()

    async def _ask(self, job: ExternalJob) -> Opaque | ServingError:
        deadline_s = time.monotonic() + job.request.deadline_s
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        # A cancellation must never land inside a Redis command, whose client may swallow it: so the commands run
        # in a task of their own, and what they have done is undone when they have ended.
        writing = asyncio.get_running_loop().create_task(self._write(job, answer))
        try:
            await asyncio.wait({writing}, timeout=_left_s(deadline_s))
            if writing.done() and writing.result():
                await asyncio.wait({answer}, timeout=_left_s(deadline_s))
            if self._answers.is_stopped and not _has_result(answer):
                return ModelUnavailable("the bridge is being stopped; try again")
            if not answer.done():
                return self._no_answer(job)
            payload = answer.result()
        finally:
            leaving = asyncio.get_running_loop().create_task(self._clean_up(job, writing, _has_result(answer)))
            self._leaving.add(leaving)
            leaving.add_done_callback(self._leaving.discard)
            answer.cancel()
        return Opaque(checked_answer(job.queue, job.request.task, payload), job.queue)

    async def _write(self, job: ExternalJob, answer: asyncio.Future[bytes]) -> bool:
        """Whether the job was put into its queue: not when its client has gone meanwhile."""
        async with self._room_for(job):
            text = b"" if answer.done() else await self._text(job)
            if answer.done() or self._answers.is_stopped:
                return False
            if job.sends_file:
                await self._store.lay_down(job.image_key, file_bytes(job))
            await self._store.push(job.queue, job.job_id, text, job.request.deadline_s)
        self._answers.expect(job.job_id, answer)
        return True

    @contextlib.asynccontextmanager
    async def _room_for(self, job: ExternalJob) -> AsyncIterator[None]:
        """Holds the memory that writing the job takes, as soon as there is some."""
        async with self._writing:
            size_bytes = needed_bytes(job, self._settings.max_job_bytes)
            if size_bytes:
                await self._in_flight.wait_for_room()
            reservation = ByteReservation(self._in_flight, size_bytes)
            try:
                yield
            finally:
                reservation.release()

    async def _text(self, job: ExternalJob) -> bytes:
        limit_bytes = self._settings.max_job_bytes
        return await asyncio.get_running_loop().run_in_executor(self._threads, job_text, job, limit_bytes)

    async def _clean_up(self, job: ExternalJob, writing: "asyncio.Task[bool]", is_answered: bool) -> None:
        """Removes what is left of a job. What Redis does not let us remove now goes by its expiry or is swept."""
        await asyncio.wait({writing})
        self._answers.forget(job.job_id)
        error = writing.exception()
        if isinstance(error, ServingError) or (error is None and not writing.result()):
            return
        try:
            if is_answered:
                await self._store.finish(job.job_id, job.image_key)
                return
            # The payload was not kept while the client waited: it may have tens of megabytes.
            async with self._room_for(job):
                text = await self._text(job)
                is_out = await self._store.withdraw(job.queue, job.job_id, job.image_key, text)
            logger.debug("job %s of queue %s was given up; taken back: %s", job.job_id, job.queue, is_out)
        except REDIS_ERRORS as removal_error:
            logger.debug("what is left of job %s could not be removed: %s", job.job_id, removal_error)

    def _no_answer(self, job: ExternalJob) -> ServingError:
        if self._answers.reason:
            return ModelUnavailable(self._answers.reason)
        return DeadlineExceeded(
            f"the external worker of queue {job.queue} did not answer within {job.request.deadline_s:g} s"
        )

    def _as_serving_error(self, queue: str, error: Exception) -> ServingError:
        if isinstance(error, OutOfMemoryError):
            return Overloaded(f"the memory of the queues is full, so queue {queue} accepts no job; try again later")
        if isinstance(error, RedisError) and not isinstance(error, RedisConnectionError | RedisTimeoutError):
            return ModelUnavailable(f"no job could be put into queue {queue}: {error}")
        self._answers.note_error(error)
        return ModelUnavailable(self._answers.reason)


def _has_result(answer: "asyncio.Future[bytes]") -> bool:
    return answer.done() and not answer.cancelled()


def _left_s(deadline_s: float) -> float:
    return max(0.0, deadline_s - time.monotonic())


def _description(entry: Entry | None) -> str:
    """What the registry says about a worker, in one line."""
    if entry is None:
        return "external worker"
    texts = (entry.get("description"), entry.get("model"), "external worker")
    text = next(text for text in texts if isinstance(text, str) and text)
    # JSON may hold lone surrogates, which an answer of ours cannot.
    return text[:200].encode(errors="replace").decode()
