"""Makes the remote calls to one model, which it knows by the name of its application only."""

import asyncio
import logging
from collections.abc import Sequence
from typing import Any

from ray import serve
from ray.exceptions import RayActorError, RayError, RayTaskError, TaskCancelledError
from ray.serve.exceptions import (
    BackPressureError,
    DeploymentUnavailableError,
    RayServeException,
    ReplicaUnavailableError,
)
from ray.serve.handle import DeploymentHandle

from deployments.classes.score_threshold import named_in
from deployments.client.outcomes import ReplicaDied
from deployments.definition import DEPLOYMENT_NAME
from deployments.errors import InternalError, ModelUnavailable, Overloaded, ServingError
from deployments.logs import OWN_LOGGER
from deployments.origin import Origin, about
from deployments.prediction import Detections, Outcome, Prediction
from deployments.request import Options, Request

logger = logging.getLogger(OWN_LOGGER)

BY_REFERENCE_FROM_BYTES = 2 * 1024 * 1024
"""Larger calls go through shared memory: Serve's gRPC transport, where it is switched on, copies and has a limit
of 4 MiB, for answers too."""

_REPLICA_DIED = (RayActorError, ReplicaUnavailableError)


class ReplicaCalls:
    """The handle is fetched once and kept: it survives the model's redeployment, while fetching one fails for as long
    as the application is being rebuilt."""

    def __init__(self, model: str) -> None:
        self._model = model
        self._handle: DeploymentHandle | None = None
        # How large an answer becomes is not known when it is asked for; what kind of answers a model gives is, from
        # its last one.
        self._gives_small_answers = False

    async def handle(self) -> DeploymentHandle:
        """The model's handle. Raises ModelUnavailable while there is none."""
        handle = self._handle
        if handle is None:
            try:
                # Not `get_app_handle`: only handles taken in this way count when Serve orders its shutdown.
                handle = await asyncio.to_thread(serve.get_deployment_handle, DEPLOYMENT_NAME, self._model)
            except (RayServeException, RayError, KeyError) as error:
                raise ModelUnavailable(f"model {self._model} does not exist yet, or is being rebuilt") from error
            self._handle = handle
        return handle

    async def send(self, requests: list[Request]) -> list[Outcome]:
        """One call, with one outcome for each request, in order. Raises ReplicaDied, or a ServingError for all.
        Cancelling cancels the work."""
        handle = await self.handle()
        try:
            return await self._remote(handle, requests)
        except _REPLICA_DIED:
            logger.warning(
                "a replica of model %s died under a call of %d requests",
                self._model,
                len(requests),
                extra=about(one.origin for one in requests),
            )
            raise ReplicaDied(self._model) from None

    async def _remote(self, handle: DeploymentHandle, requests: list[Request]) -> list[Outcome]:
        if _nbytes(requests) >= BY_REFERENCE_FROM_BYTES or not self._gives_small_answers:
            handle = handle.options(_by_reference=True)
        response = handle.predict.remote(requests)
        try:
            outcomes: list[Outcome] = await response
        except asyncio.CancelledError:
            response.cancel()
            raise
        except _REPLICA_DIED:
            raise
        except Exception as error:
            self._gives_small_answers = False
            raise serving_error(error, [one.origin for one in requests]) from None
        self._gives_small_answers = not any(map(_may_be_large, outcomes))
        return outcomes


def _nbytes(requests: Sequence[Request]) -> int:
    return sum(one.image.nbytes + sum(map(len, _names_in(one.options))) for one in requests)


def _names_in(options: Options) -> tuple[str, ...]:
    return (*(options.classes or ()), *named_in(options.score_threshold))


def _may_be_large(outcome: Outcome) -> bool:
    found = outcome.result if isinstance(outcome, Prediction) else None
    return isinstance(found, Detections) and not (found.masks is None and found.keypoints is None)


def serving_error(error: BaseException, origins: Sequence[Origin | None]) -> ServingError:
    """Any failure of a remote call as an error of the core's tree, without the remote traceback."""
    cause: Any = error.cause if isinstance(error, RayTaskError) else error
    if isinstance(cause, ServingError):
        return cause
    if isinstance(cause, BackPressureError):
        return Overloaded("too many requests wait for this model; try again later")
    if isinstance(cause, DeploymentUnavailableError):
        return ModelUnavailable("the model failed to start, or was removed")
    if isinstance(cause, TaskCancelledError):
        return ModelUnavailable("the call was cancelled because the model is being stopped")
    logger.error("a call to a model failed unexpectedly", exc_info=error, extra=about(origins))
    return InternalError("the model failed unexpectedly")
