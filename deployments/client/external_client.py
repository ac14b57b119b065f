"""Reaches external workers by Serve handle, through the application that can. A system without such an application
has no external workers.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Mapping

from ray.serve.handle import DeploymentHandle

from deployments.catalogue import ModelRecord
from deployments.client.gateway import AWAY, Gateway
from deployments.client.replica_calls import serving_error
from deployments.errors import DeadlineExceeded, ModelUnavailable, ServingError
from deployments.external import ExternalRequest, GatewayReport, record_of
from deployments.logs import OWN_LOGGER
from deployments.prediction import Opaque
from deployments.process.background_task import BackgroundTask

logger = logging.getLogger(OWN_LOGGER)

ANSWER_GRACE_S = 2.0
"""The gateway keeps the deadline itself; this is in case it hangs."""

REFRESH_TIMEOUT_S = 5.0

SILENT_AFTER_S = 8.0
"""A gateway that has not reported for longer than this does not answer."""


class ExternalClient:
    """Asks external workers, and keeps a list of them that is refreshed every `period_s` seconds."""

    def __init__(self, application: str, period_s: float = 2.0) -> None:
        self._application = application
        self._period_s = period_s
        self._gateway = Gateway(application, "to reach the worker")
        self._records: tuple[ModelRecord, ...] = ()
        self._reason = ""
        self._waiting: Mapping[str, int] | None = None
        self._reported_at_s = time.monotonic()
        self._background = BackgroundTask("discovery of external workers", self._keep_refreshing)

    async def start(self) -> None:
        """Takes the handle, so that Serve stops this caller before the gateway, and keeps the list fresh."""
        with contextlib.suppress(ModelUnavailable):
            await self._gateway.handle()
        self._reported_at_s = time.monotonic()
        self._background.start()

    async def stop(self) -> None:
        """Stops refreshing the list."""
        await self._background.stop()

    def check(self) -> None:
        """Raises RuntimeError when the background task has died, for a health check."""
        self._background.check()

    def reason(self) -> str:
        """Why the gateway does not serve its queues, or is not heard from; '' when all is well. Never waits."""
        silent_s = time.monotonic() - self._reported_at_s
        if silent_s > SILENT_AFTER_S:
            return f"the application {self._application} has not answered for {silent_s:.0f} s"
        return self._reason

    def waiting(self) -> Mapping[str, int] | None:
        """Jobs that wait in each Redis queue, as last told; None where that is not known. Never waits."""
        return None if self.reason() else self._waiting

    def records(self) -> tuple[ModelRecord, ...]:
        """The external workers as models, as last seen."""
        return self._records

    async def ask(self, queue: str, request: ExternalRequest) -> Opaque | ServingError:
        """The answer of the worker behind `queue`. Never asked twice: a worker may have the job already."""
        try:
            response = (await self._by_reference()).ask_external.remote(queue, request)
            try:
                async with asyncio.timeout(request.deadline_s + ANSWER_GRACE_S):
                    outcome: Opaque | ServingError = await response
            except (TimeoutError, asyncio.CancelledError):
                response.cancel()
                raise
        except TimeoutError:
            return DeadlineExceeded(f"no answer for queue {queue} within {request.deadline_s:g} s")
        except ServingError as error:
            return error
        except AWAY:
            return ModelUnavailable("the way to external workers was lost; try again")
        except Exception as error:
            return serving_error(error, [request.origin])
        return outcome

    async def _by_reference(self) -> DeploymentHandle:
        # Whatever the size of the request: Serve's gRPC transport has a limit of 4 MiB for answers too, and nobody
        # knows how large a worker's answer will be.
        return (await self._gateway.handle()).options(_by_reference=True)

    async def _keep_refreshing(self) -> None:
        while True:
            try:
                await self._refresh()
            except Exception as error:
                logger.debug("the external workers could not be listed: %s", error)
            # A gateway that was not well is asked again soon, so that this door is not out of rotation for long.
            is_soon = self._gateway.is_found and self.reason()
            await asyncio.sleep(self._period_s / 4 if is_soon else self._period_s)

    async def _refresh(self) -> None:
        response = (await self._by_reference()).report.remote()
        try:
            async with asyncio.timeout(REFRESH_TIMEOUT_S):
                report: GatewayReport = await response
        except TimeoutError:
            response.cancel()
            raise
        self._reason, self._reported_at_s = report.reason, time.monotonic()
        self._waiting = report.waiting
        # A gateway that has just been started may not know yet; the last view stays meanwhile.
        if report.workers is not None:
            self._records = tuple(record_of(worker) for worker in report.workers)
