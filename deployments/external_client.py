"""Reaches external workers through the application that can, by Serve handle. Makes the remote calls, nothing else.

The system works without such an application: then there are no external workers.
"""

import asyncio
import contextlib
import logging

from ray import serve
from ray.exceptions import RayActorError, RayError
from ray.serve.exceptions import DeploymentUnavailableError, RayServeException, ReplicaUnavailableError
from ray.serve.handle import DeploymentHandle

from deployments.client import serving_error
from deployments.definition import ModelRecord
from deployments.errors import DeadlineExceeded, ModelUnavailable, ServingError
from deployments.external import ExternalRequest, ExternalWorker, record_of
from deployments.logs import OWN_LOGGER
from deployments.prediction import Opaque

logger = logging.getLogger(OWN_LOGGER)

GATEWAY_DEPLOYMENT = "Bridge"
"""The deployment, in the application of the configuration, that has `external_workers` and `ask_external`."""

ANSWER_GRACE_S = 2.0
"""The gateway keeps the deadline itself; this is for a gateway that hangs."""

LOOK_TIMEOUT_S = 5.0

_AWAY = (RayActorError, ReplicaUnavailableError, DeploymentUnavailableError)


class ExternalClient:
    """Asks external workers, and keeps a list of them, which is looked at anew every `period_s` seconds."""

    def __init__(self, application: str, period_s: float = 2.0) -> None:
        self._application = application
        self._period_s = period_s
        self._handle: DeploymentHandle | None = None
        self._records: tuple[ModelRecord, ...] = ()
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Takes the handle, so that Serve stops this caller before the gateway, and looks from then on."""
        with contextlib.suppress(ModelUnavailable):
            await self._gateway()
        self._task = asyncio.get_running_loop().create_task(self._keep_looking(), name="external workers")

    async def stop(self) -> None:
        """Stops looking."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    def records(self) -> tuple[ModelRecord, ...]:
        """The external workers as models, as last seen."""
        return self._records

    async def ask(self, queue: str, request: ExternalRequest) -> Opaque | ServingError:
        """The answer of the worker behind `queue`. Never asked twice: a worker may have the job already."""
        try:
            gateway = await self._gateway()
            response = gateway.ask_external.remote(queue, request)
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
        except _AWAY:
            return ModelUnavailable("the way to external workers was lost; try again")
        except Exception as error:
            return serving_error(error)
        return outcome

    async def _gateway(self) -> DeploymentHandle:
        handle: DeploymentHandle | None = self._handle
        if handle is None:
            try:
                found = await asyncio.to_thread(serve.get_deployment_handle, GATEWAY_DEPLOYMENT, self._application)
            except (RayServeException, RayError, KeyError):
                raise ModelUnavailable(f"there is no application {self._application} to reach the worker") from None
            self._handle = handle = found
        # By reference, whatever the size of the question: Serve's gRPC transport has a limit of 4 MiB for answers
        # too, and how large a worker's answer will be nobody knows.
        return handle.options(_by_reference=True)

    async def _keep_looking(self) -> None:
        while True:
            try:
                await self._look()
            except Exception as error:
                logger.debug("the external workers could not be listed: %s", error)
            await asyncio.sleep(self._period_s)

    async def _look(self) -> None:
        response = (await self._gateway()).external_workers.remote()
        try:
            async with asyncio.timeout(LOOK_TIMEOUT_S):
                workers: tuple[ExternalWorker, ...] | None = await response
        except TimeoutError:
            response.cancel()
            raise
        # A gateway that has just been started may not know yet; the last view stays meanwhile.
        if workers is not None:
            self._records = tuple(record_of(worker) for worker in workers)
