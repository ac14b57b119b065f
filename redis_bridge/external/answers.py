"""Waits for the answers of external workers, all of them with one command.

Workers only `SET` their answers, so the keys are polled: often after an answer or a new job, more and more rarely
after that, and not at all while no client waits.
"""

import asyncio
import logging

from deployments.logs import OWN_LOGGER
from deployments.process.background_task import check_running
from redis_bridge.client.connection import REDIS_ERRORS, ErrorLog, pause
from redis_bridge.external.store import ExternalJobStore

logger = logging.getLogger(OWN_LOGGER)

SHORTEST_POLL_INTERVAL_S = 0.005
LONGEST_POLL_INTERVAL_S = 0.1
_POLL_INTERVAL_GROWTH = 1.3
SWEEP_INTERVAL_S = 10.0
AWAY_SWEEP_INTERVAL_S = 1.0


class ExternalAnswers:
    """The answers that clients wait for, from `start` to `stop`."""

    def __init__(self, store: ExternalJobStore) -> None:
        self.reason = ""
        """Why Redis cannot be reached; '' when it can."""
        self._store = store
        self._waiting: dict[str, asyncio.Future[bytes]] = {}
        self._asked = asyncio.Event()
        self._stop = asyncio.Event()
        self._error_log = ErrorLog()
        self._poll_interval_s = SHORTEST_POLL_INTERVAL_S
        # Not of `BackgroundTask`, whose stop cancels: a cancellation inside a Redis command may be swallowed.
        self._loops: list[asyncio.Task[None]] = []

    @property
    def is_stopped(self) -> bool:
        """Whether no client may wait any more."""
        return self._stop.is_set()

    def start(self) -> None:
        """Begins, in the background; Redis may still be away."""
        loop = asyncio.get_running_loop()
        self._loops = [
            loop.create_task(self._poll_for_answers(), name="poll for answers of external workers"),
            loop.create_task(self._sweep(), name="sweep of late answers of external workers"),
        ]

    def check(self) -> None:
        """Raises RuntimeError when a loop has died, for a health check."""
        if not self._stop.is_set():
            for loop in self._loops:
                check_running(loop)

    async def stop(self) -> None:
        """Ends all waiting: what is waited for is cancelled."""
        self._stop.set()
        self._asked.set()
        for answer in self._waiting.values():
            answer.cancel()
        if self._loops:
            await asyncio.wait(self._loops)

    def expect(self, job_id: str, answer: asyncio.Future[bytes]) -> None:
        """`answer` is resolved as soon as the job has one, and cancelled at the stop."""
        if self._stop.is_set():
            answer.cancel()
        self._waiting[job_id] = answer
        self._poll_interval_s = SHORTEST_POLL_INTERVAL_S
        self._asked.set()

    def forget(self, job_id: str) -> None:
        """The client of this job does not wait any more."""
        self._waiting.pop(job_id, None)

    def note_error(self, error: Exception) -> None:
        """Redis could not be reached."""
        self.reason = f"the queues cannot be reached: {error}"
        self._error_log.warn("the queues of external workers cannot be reached", error)

    async def _poll_for_answers(self) -> None:
        while not self._stop.is_set():
            if not self._waiting:
                self._asked.clear()
                await self._asked.wait()
                continue
            await self._poll_once()
            await pause(self._poll_interval_s, self._stop)

    async def _poll_once(self) -> None:
        try:
            found = await self._store.answers(list(self._waiting))
        except REDIS_ERRORS as error:
            self.note_error(error)
            self._poll_interval_s = LONGEST_POLL_INTERVAL_S
            return
        self.reason = ""
        for job_id, payload in found.items():
            answer = self._waiting.pop(job_id, None)
            if answer is not None and not answer.done():
                answer.set_result(payload)
        self._poll_interval_s = (
            SHORTEST_POLL_INTERVAL_S
            if found
            else min(self._poll_interval_s * _POLL_INTERVAL_GROWTH, LONGEST_POLL_INTERVAL_S)
        )

    async def _sweep(self) -> None:
        while not self._stop.is_set():
            try:
                deleted = await self._store.sweep()
                self.reason = ""
            except REDIS_ERRORS as error:
                self.note_error(error)
            else:
                if deleted:
                    logger.warning("%d answers of external workers came too late and were deleted", deleted)
            await pause(AWAY_SWEEP_INTERVAL_S if self.reason else SWEEP_INTERVAL_S, self._stop)
