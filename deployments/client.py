"""The one client through which a door asks a model: cached handles, one retry, errors as values.

The only file that makes remote calls to models. It knows a model's deployment by name, never its code.
"""

import asyncio
import logging
from collections.abc import Iterable, Sequence
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

from deployments.errors import (
    DeadlineExceeded,
    InternalError,
    ModelUnavailable,
    Overloaded,
    ServingError,
)
from deployments.prediction import Outcome
from deployments.request import Request

logger = logging.getLogger("ray.serve")

_REPLICA_DIED = (RayActorError, ReplicaUnavailableError)


class ModelClient:
    """Calls models by name. Handles are fetched once and kept: they survive a model's redeployment, while
    fetching one fails for as long as the application is being rebuilt."""

    def __init__(self) -> None:
        self._handles: dict[str, DeploymentHandle] = {}

    async def attach(self, models: Iterable[str]) -> None:
        """Takes the handles of these models now, so that Serve stops this caller before them at shutdown."""
        for model in models:
            try:
                await self._handle(model)
            except ServingError as error:
                logger.warning("no handle of model %s yet: %s", model, error)

    async def __call__(self, model: str, requests: Sequence[Request]) -> list[Outcome]:
        """One outcome for each request, in order. Waits at most as long as the longest deadline."""
        if not requests:
            return []
        try:
            async with asyncio.timeout(max(request.deadline_s for request in requests)):
                return await self._call_with_retry(model, list(requests))
        except TimeoutError:
            return [DeadlineExceeded(f"model {model} did not answer in time") for _ in requests]
        except ServingError as error:
            return [error for _ in requests]

    async def _call_with_retry(self, model: str, requests: list[Request]) -> list[Outcome]:
        handle = await self._handle(model)
        try:
            return await self._call(handle, requests)
        except _REPLICA_DIED:
            # Only once: a request that kills its replica must not kill them all.
            logger.warning("a replica of model %s died under a request; asking another", model)
        try:
            return await self._call(handle, requests)
        except _REPLICA_DIED:
            raise ModelUnavailable(f"model {model} died twice under this request") from None

    async def _call(self, handle: DeploymentHandle, requests: list[Request]) -> list[Outcome]:
        response = handle.predict.remote(requests)
        try:
            outcomes: list[Outcome] = await response
        except asyncio.CancelledError:
            response.cancel()
            raise
        except _REPLICA_DIED:
            raise
        except Exception as error:
            raise serving_error(error) from None
        return outcomes

    async def _handle(self, model: str) -> DeploymentHandle:
        handle = self._handles.get(model)
        if handle is None:
            try:
                handle = await asyncio.to_thread(serve.get_app_handle, model)
            except (RayServeException, RayError) as error:
                raise ModelUnavailable(f"model {model} is not there yet, or being rebuilt") from error
            self._handles[model] = handle
        return handle


def serving_error(error: BaseException) -> ServingError:
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
    logger.error("a call to a model failed unexpectedly", exc_info=error)
    return InternalError("the model failed unexpectedly")
