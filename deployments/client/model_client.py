"""The one client through which a door reaches its models: shared calls, second attempts, errors as values."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial

from deployments.client.call_batching import MAX_REQUESTS_A_CALL, CallBatcher
from deployments.client.outcomes import ReplicaDied, outcomes_of
from deployments.client.replica_calls import ReplicaCalls
from deployments.client.retries import SecondAttempts
from deployments.client.waits import Waits
from deployments.errors import DeadlineExceeded, ModelUnavailable, ServingError
from deployments.logs import OWN_LOGGER
from deployments.prediction import Outcome
from deployments.request import Request

logger = logging.getLogger(OWN_LOGGER)


class ModelClient:
    """Predicts with models by name.

    replicas_of: how many replicas a model has now, as far as known.
    error_of: why a model cannot answer now, None when it can: what a client is told whose request failed for that.
    calls_of: makes the remote calls to a model.
    """

    def __init__(
        self,
        replicas_of: Callable[[str], int] = lambda model: 1,
        error_of: Callable[[str], ModelUnavailable | None] = lambda model: None,
        calls_of: Callable[[str], ReplicaCalls] = ReplicaCalls,
    ) -> None:
        self._replicas_of = replicas_of
        self._error_of = error_of
        self._calls_of = calls_of
        self._models: dict[str, _ModelWay] = {}

    async def attach(self, models: Iterable[str]) -> None:
        """Takes the handles of these models now, so that Serve stops this caller before them at shutdown."""
        for model in models:
            try:
                await self._way_to(model).calls.handle()
            except ServingError as error:
                logger.warning("no handle of model %s yet: %s", model, error)

    async def __call__(self, model: str, requests: Sequence[Request]) -> list[Outcome]:
        """One outcome for each request, in order. Waits at most as long as the deadline of each.

        Requests that are given together travel together, since a call costs more than most of them; the first
        deadline is that of all.
        """
        return await self._ask(model, requests, attempts=2)

    def end(self, models: Iterable[str]) -> None:
        """Those who wait for these models, which were removed, are told so. Called in the event loop."""
        for model in models:
            if (way := self._models.get(model)) is not None:
                way.waits.end()

    async def try_once(self, model: str, requests: Sequence[Request]) -> list[Outcome]:
        """The same, but for those whose replica dies under them: they are ModelUnavailable, and not sent again."""
        return await self._ask(model, requests, attempts=1)

    async def _ask(self, model: str, requests: Sequence[Request], attempts: int) -> list[Outcome]:
        way = self._way_to(model)
        if len(requests) == 1:
            outcomes = [await way.predict(requests[0], attempts)]
        elif len(requests) <= MAX_REQUESTS_A_CALL:
            outcomes = await way.predict_together(requests, attempts)
        else:
            outcomes = await asyncio.gather(*(way.predict(request, attempts) for request in requests))
        return [self._explained(model, outcome) for outcome in outcomes]

    def _way_to(self, model: str) -> "_ModelWay":
        way = self._models.get(model)
        if way is None:
            way = _ModelWay(model, self._calls_of(model), partial(self._replicas_of, model))
            self._models[model] = way
        return way

    def _explained(self, model: str, outcome: Outcome) -> Outcome:
        if type(outcome) in (DeadlineExceeded, ModelUnavailable) and (error := self._error_of(model)):
            return error
        return outcome


class _ModelWay:
    """The way to one model: through the batcher, or together in one call; again if the replica dies under it."""

    def __init__(self, model: str, calls: ReplicaCalls, replicas: Callable[[], int]) -> None:
        self.calls = calls
        self.waits = Waits(model)
        self._model = model
        self._batcher = CallBatcher(calls.send, replicas, self.waits)
        self._attempts = SecondAttempts(model, calls.send, self.waits)

    async def predict(self, request: Request, attempts: int) -> Outcome:
        """The outcome of `request`, which may share a call with others."""
        expires_at_s = asyncio.get_running_loop().time() + request.deadline_s
        try:
            return await self._batcher.submit(request)
        except TimeoutError:
            return self._late(request.deadline_s)
        except ModelUnavailable as removed:
            return removed
        except ReplicaDied:
            return await self._predict_again(request, expires_at_s) if attempts > 1 else self._died()

    async def predict_together(self, requests: Sequence[Request], attempts: int) -> list[Outcome]:
        """One outcome for each, from one call of their own."""
        deadline_s = min(request.deadline_s for request in requests)
        expires_at_s = asyncio.get_running_loop().time() + deadline_s
        # All are given the one deadline, before which the replica returns with what it has.
        alike = [one if one.deadline_s == deadline_s else replace(one, deadline_s=deadline_s) for one in requests]
        try:
            async with self.waits.until(expires_at_s):
                return await outcomes_of(self.calls.send, alike)
        except TimeoutError:
            return [self._late(deadline_s)] * len(requests)
        except ModelUnavailable as removed:
            return [removed] * len(requests)
        except ReplicaDied:
            if attempts == 1:
                return [self._died()] * len(requests)
            return await asyncio.gather(*(self._predict_again(one, expires_at_s) for one in alike))

    async def _predict_again(self, request: Request, expires_at_s: float) -> Outcome:
        try:
            return await self._attempts.send(request, expires_at_s)
        except TimeoutError:
            return self._late(request.deadline_s)
        except ModelUnavailable as removed:
            return removed

    def _died(self) -> ModelUnavailable:
        return ModelUnavailable(f"a replica of model {self._model} died under this request")

    def _late(self, deadline_s: float) -> DeadlineExceeded:
        return DeadlineExceeded(f"model {self._model} did not answer within {deadline_s:g} s")
