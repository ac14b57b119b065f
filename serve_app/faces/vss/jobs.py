"""Work that goes on when its request was answered, and what is kept of it."""

import asyncio
import contextlib
import logging
import re
from collections.abc import Awaitable, Callable
from uuid import uuid4

from deployments.byte_budget import HeldBytes
from deployments.errors import DeadlineExceeded, InternalError, ModelNotFound, ModelUnavailable, ServingError
from deployments.logs import OWN_LOGGER
from deployments.vectors import Vectors
from serve_app.faces.vss.answers import PENDING, kept_failure

logger = logging.getLogger(OWN_LOGGER)

JOB_TIME_S = 300.0
"""For a job, waiting for its turn included. So long clients of fastapi-vss wait on their WebSocket."""

KEPT_S = 600.0
"""What has ended is kept for its client."""

EARLY_S = 4.0
"""A request is answered when its job has ended, or after this time. So clients go at the pace of the model and hear
of errors at once, and those that give up after 5 s do not."""

JOBS_AT_ONCE = 2
"""Of one door, the others wait: each has as many images as the model takes in several batches."""

FINISH_S = 20.0
"""For jobs under way when their door stops, of the 60 s that Serve gives it."""

_GONE_AFTER_S = JOB_TIME_S + 30.0
"""What is kept of a job that has not ended: where its door dies, it is not there any more afterwards."""

_JOB = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")

Work = Callable[[float], Awaitable[bytes]]
"""Does a job by a time on the clock of the event loop, and returns what is kept of it."""


class Jobs:
    """Those of one door."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[ServingError | None]] = set()
        self._turns = asyncio.Semaphore(JOBS_AT_ONCE)

    async def start(self, vectors: Vectors, project: str, work: Work, held: HeldBytes) -> str:
        """The number of the job. Raises what `work` raises, where it does so early; then there is no job. held: the
        job's from now on."""
        job = str(uuid4())
        await vectors.keep_job(project, job, PENDING, _GONE_AFTER_S)
        running = asyncio.get_running_loop().create_task(self._run(vectors, (project, job), work, held.moved()))
        self._running.add(running)
        running.add_done_callback(self._running.discard)
        try:
            await asyncio.wait([running], timeout=EARLY_S)
        except asyncio.CancelledError:
            # Nobody will ever know the number.
            running.cancel()
            raise
        if running.done() and (error := running.result()) is not None:
            raise error
        return job

    async def finish(self) -> None:
        """Waits for the jobs under way, up to FINISH_S. Those that have not ended then have failed."""
        if not self._running:
            return
        _, late = await asyncio.wait(self._running, timeout=FINISH_S)
        for running in late:
            running.cancel()
        if late:
            await asyncio.wait(late, timeout=FINISH_S)

    async def _run(
        self, vectors: Vectors, named: tuple[str, str], work: Work, held: HeldBytes
    ) -> ServingError | None:
        error: ServingError | None = None
        with held:
            try:
                ends_at_s = asyncio.get_running_loop().time() + JOB_TIME_S
                async with asyncio.timeout_at(ends_at_s), self._turns:
                    kept = await work(ends_at_s)
            except asyncio.CancelledError:
                # Of this job alone: what is kept of it must not stay pending.
                error = ModelUnavailable("the job was ended because this part of the server stops; send it again")
            except TimeoutError:
                error = DeadlineExceeded(f"the job was ended: it was not done within {JOB_TIME_S:g} s")
            except ServingError as raised:
                error = raised
            except Exception:
                logger.exception("a job of project %s failed unexpectedly", named[0])
                error = InternalError("the server failed on this job")
        try:
            await vectors.keep_job(*named, kept if error is None else kept_failure(error.message), KEPT_S)
        except ServingError as raised:
            logger.warning("the answer of a job of project %s could not be kept: %s", named[0], raised.message)
            # Whoever asks later would wait for an answer that does not come.
            with contextlib.suppress(ServingError):
                await vectors.keep_job(*named, kept_failure(raised.message), KEPT_S)
            return raised
        return error


async def kept_of(vectors: Vectors, project: str, job: str) -> bytes:
    """What is kept of a job. Raises ModelNotFound where nothing is."""
    kept = await vectors.job(project, job) if _JOB.fullmatch(job) else None
    if kept is None:
        raise ModelNotFound(f"Job ID {job[:50]} does not exist in project {project[:100]}, or has expired")
    return kept
