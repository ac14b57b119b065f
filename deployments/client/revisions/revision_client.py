"""Predicts with models that may have candidates beside them: what a door asks, and all that it needs to know of them.

A candidate answers the requests of its share in the model's place. Whatever it cannot answer in time, the model does,
so that a client never pays for a candidate that is ill. An answer names the model and the revision that it came from.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from deployments.catalogue import ModelRecord
from deployments.client.model_client import ModelClient
from deployments.client.revisions.candidates import PAUSE_S, CandidateList, ModelCandidates, Trial, can_be_tried
from deployments.client.revisions.shadows import RevisionMeter, Shadows
from deployments.errors import ServingError
from deployments.logs import OWN_LOGGER
from deployments.origin import about
from deployments.prediction import Outcome, Prediction
from deployments.request import Request

logger = logging.getLogger(OWN_LOGGER)

LEAST_DEADLINE_S = 1e-6


class RevisionClient:
    """A `Predict` over `client`. records: all models as last seen, with their candidates."""

    def __init__(
        self, client: ModelClient, records: Callable[[], tuple[ModelRecord, ...]], meter: RevisionMeter
    ) -> None:
        self._client = client
        self._candidates = CandidateList(records)
        self._meter = meter
        self._shadows = Shadows(client.try_once, meter)
        self._trials: dict[str, Trial] = {}

    async def attach(self, models: Iterable[str]) -> None:
        """Takes the handles of these models now, so that Serve stops this caller before them at shutdown."""
        await self._client.attach(models)

    async def stop(self) -> None:
        """Ends the copies that are under way."""
        await self._shadows.stop()

    async def __call__(self, model: str, requests: Sequence[Request]) -> list[Outcome]:
        """One outcome for each request, in order. Waits at most as long as the deadline of each."""
        candidates = self._candidates.of(model)
        if candidates is None:
            return await self._client(model, requests)
        if candidates.sharing:
            outcomes = await self._shared(candidates, requests)
        else:
            outcomes = await self._client(model, requests)
        for request, outcome in zip(requests, outcomes, strict=True):
            if isinstance(outcome, Prediction) and outcome.model == model:
                for shadow in candidates.shadows_for(request.request_id):
                    self._shadows.cast(shadow, request, outcome)
        return outcomes

    async def _shared(self, candidates: ModelCandidates, requests: Sequence[Request]) -> list[Outcome]:
        parts: dict[str, tuple[ModelRecord | None, list[int]]] = {}
        for position, request in enumerate(requests):
            chosen = candidates.chosen_for(request.request_id)
            if chosen is not None and not self._can_try(chosen):
                self._meter.shared(chosen, "passed-on", 1)
                chosen = None
            parts.setdefault(chosen.name if chosen else "", (chosen, []))[1].append(position)
        answered = await asyncio.gather(
            *(
                self._answered_by(chosen, candidates.model, [requests[position] for position in positions])
                for chosen, positions in parts.values()
            )
        )
        outcomes: dict[int, Outcome] = {}
        for (_, positions), part in zip(parts.values(), answered, strict=True):
            outcomes |= zip(positions, part, strict=True)
        return [outcomes[position] for position in range(len(requests))]

    async def _answered_by(
        self, candidate: ModelRecord | None, model: str, requests: Sequence[Request]
    ) -> list[Outcome]:
        """The candidate's answers, and the model's where it has none."""
        if candidate is None:
            return await self._client(model, requests)
        clock = asyncio.get_running_loop().time
        began_at_s = clock()
        trial = self._trials.setdefault(candidate.name, Trial())
        tried = [replace(one, deadline_s=trial.patience_s(one.deadline_s), waiting_behind=None) for one in requests]
        outcomes = await self._client.try_once(candidate.name, tried)
        took_s = clock() - began_at_s
        if failure := trial.note(outcomes, took_s):
            logger.warning(
                "candidate %s gets no requests of %s for %g s: %s",
                candidate.name,
                model,
                PAUSE_S,
                failure.message,
                extra=about(one.origin for one in requests),
            )
        left = [position for position, outcome in enumerate(outcomes) if isinstance(outcome, ServingError)]
        self._meter.shared(candidate, "answered", len(outcomes) - len(left))
        if left:
            self._meter.shared(candidate, "passed-on", len(left))
            again = [_later(requests[position], took_s) for position in left]
            for position, outcome in zip(left, await self._client(model, again), strict=True):
                outcomes[position] = outcome
        return outcomes

    def _can_try(self, candidate: ModelRecord) -> bool:
        trial = self._trials.get(candidate.name)
        return can_be_tried(candidate) and (trial is None or not trial.is_paused)


def _later(request: Request, seconds: float) -> Request:
    return replace(request, deadline_s=max(request.deadline_s - seconds, LEAST_DEADLINE_S))
