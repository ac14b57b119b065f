"""The one client through which a door asks a model: cached handles, second tries, errors as values.

The only file that makes remote calls to models. It knows a model's deployment by name, never its code.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
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

from deployments.client.call_batching import MAX_REQUESTS_A_CALL, Coalescer, outcomes_of
from deployments.client.retries import ReplicaDied, SecondTries
from deployments.definition import DEPLOYMENT_NAME
from deployments.errors import (
    DeadlineExceeded,
    InternalError,
    ModelUnavailable,
    Overloaded,
    ServingError,
)
from deployments.logs import OWN_LOGGER
from deployments.prediction import Outcome
from deployments.request import Request

logger = logging.getLogger(OWN_LOGGER)

BY_REFERENCE_FROM_BYTES = 2 * 1024 * 1024
"""Larger calls go through shared memory: Serve's gRPC transport, where it is switched on, copies and has a limit
of 4 MiB."""

_REPLICA_DIED = (RayActorError, ReplicaUnavailableError)


class ModelClient:
    """Calls models by name. Handles are fetched once and kept: they survive a model's redeployment, while
    fetching one fails for as long as the application is being rebuilt.

    replicas_of: how many replicas a model has now, as far as known.
    error_of: why a model cannot answer now, None when it can: what a client is told whose request failed for that.
    """

    def __init__(
        self,
        replicas_of: Callable[[str], int] = lambda model: 1,
        error_of: Callable[[str], ModelUnavailable | None] = lambda model: None,
    ) -> None:
        self._replicas_of = replicas_of
        self._error_of = error_of
        self._handles: dict[str, DeploymentHandle] = {}
        self._coalescers: dict[str, Coalescer] = {}
        self._second_tries: dict[str, SecondTries] = {}

    async def attach(self, models: Iterable[str]) -> None:
        """Takes the handles of these models now, so that Serve stops this caller before them at shutdown."""
        for model in models:
            try:
                await self._handle(model)
            except ServingError as error:
                logger.warning("no handle of model %s yet: %s", model, error)

    async def __call__(self, model: str, requests: Sequence[Request]) -> list[Outcome]:
        """One outcome for each request, in order. Waits at most as long as the deadline of each.

        Requests that are asked together travel together, as a call costs more than most of them; the first deadline
        is that of all.
        """
        if len(requests) == 1:
            outcomes = [await self._ask(model, requests[0])]
        elif len(requests) <= MAX_REQUESTS_A_CALL:
            outcomes = await self._ask_together(model, requests)
        else:
            outcomes = await asyncio.gather(*(self._ask(model, request) for request in requests))
        return [self._explained(model, outcome) for outcome in outcomes]

    async def _ask_together(self, model: str, requests: Sequence[Request]) -> list[Outcome]:
        deadline_s = min(request.deadline_s for request in requests)
        expires_at_s = asyncio.get_running_loop().time() + deadline_s
        # All are told the one deadline, before which the replica returns with what it has.
        alike = [one if one.deadline_s == deadline_s else replace(one, deadline_s=deadline_s) for one in requests]
        try:
            async with asyncio.timeout_at(expires_at_s):
                return await outcomes_of(partial(self._send, model), alike)
        except TimeoutError:
            return [_late(model, deadline_s)] * len(requests)
        except ReplicaDied:
            return await asyncio.gather(*(self._ask_again(model, one, expires_at_s) for one in alike))

    async def _ask(self, model: str, request: Request) -> Outcome:
        coalescer = self._coalescers.get(model)
        if coalescer is None:
            coalescer = Coalescer(partial(self._send, model), partial(self._replicas_of, model))
            self._coalescers[model] = coalescer
        expires_at_s = asyncio.get_running_loop().time() + request.deadline_s
        try:
            return await coalescer.ask(request)
        except TimeoutError:
            return _late(model, request.deadline_s)
        except ReplicaDied:
            return await self._ask_again(model, request, expires_at_s)

    async def _ask_again(self, model: str, request: Request, expires_at_s: float) -> Outcome:
        tries = self._second_tries.get(model)
        if tries is None:
            tries = SecondTries(model, partial(self._send_alone, model))
            self._second_tries[model] = tries
        try:
            return await tries.ask(request, expires_at_s)
        except TimeoutError:
            return _late(model, request.deadline_s)

    def _explained(self, model: str, outcome: Outcome) -> Outcome:
        if type(outcome) in (DeadlineExceeded, ModelUnavailable) and (error := self._error_of(model)):
            return error
        return outcome

    async def _send(self, model: str, requests: list[Request]) -> list[Outcome]:
        """One call. Raises ReplicaDied, or a ServingError for all."""
        handle = await self._handle(model)
        try:
            return await self._call(handle, requests)
        except _REPLICA_DIED:
            logger.warning("a replica of model %s died under a call of %d requests", model, len(requests))
            raise ReplicaDied(model) from None

    async def _send_alone(self, model: str, request: Request) -> Outcome:
        [outcome] = await outcomes_of(partial(self._send, model), [request])
        return outcome

    async def _call(self, handle: DeploymentHandle, requests: list[Request]) -> list[Outcome]:
        if _nbytes(requests) >= BY_REFERENCE_FROM_BYTES:
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
            raise serving_error(error) from None
        return outcomes

    async def _handle(self, model: str) -> DeploymentHandle:
        handle = self._handles.get(model)
        if handle is None:
            try:
                # Not `get_app_handle`: only handles taken in this way count when Serve orders its shutdown.
                handle = await asyncio.to_thread(serve.get_deployment_handle, DEPLOYMENT_NAME, model)
            except (RayServeException, RayError, KeyError) as error:
                raise ModelUnavailable(f"model {model} is not there yet, or being rebuilt") from error
            self._handles[model] = handle
        return handle


def _nbytes(requests: Sequence[Request]) -> int:
    return sum(one.image.nbytes + sum(map(len, one.options.classes or ())) for one in requests)


def _late(model: str, deadline_s: float) -> DeadlineExceeded:
    return DeadlineExceeded(f"model {model} did not answer within {deadline_s:g} s")


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
