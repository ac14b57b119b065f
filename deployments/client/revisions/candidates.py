"""Which revision of a model a request is put to: the model's own, or that of a candidate which gets a share.

The same request id gives the same revision, in every door and however often it is sent, and a share that grows keeps
the requests that it had.
"""

import random
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from hashlib import blake2b

from deployments.catalogue import ModelRecord, ModelState
from deployments.errors import InvalidRequest, Overloaded, ServingError
from deployments.prediction import Outcome

FIRST_PATIENCE_S = 3.0
"""For the first answer of a candidate."""

LEAST_PATIENCE_S = 1.0

PATIENCE_TIMES = 3.0
"""A candidate that takes so many times longer than it usually does is late, and the model answers instead."""

MOST_OF_A_DEADLINE = 0.5
"""Part of a request's time that a candidate may use up. The model gets the rest."""

PAUSE_S = 10.0
"""A candidate that was late or failed gets nothing for so long: those whom it keeps waiting are few."""

_MEMORY = 8
"""How many answers the usual time is averaged over."""

_OF_THE_REQUEST = (InvalidRequest, Overloaded)
"""Errors that say nothing of how a candidate is."""

_PLACES = float(2**64)


def place_of(request_id: str, purpose: str) -> float:
    """From 0 to below 1: always the same for an id and a purpose, evenly spread over ids; by chance without an id."""
    if not request_id:
        return random.random()  # no secret
    text = f"{purpose}\0{request_id}".encode("utf-8", "replace")
    return int.from_bytes(blake2b(text, digest_size=8).digest()) / _PLACES


@dataclass(frozen=True, slots=True)
class ModelCandidates:
    """The candidates of one model, sorted by name."""

    model: str
    sharing: tuple[ModelRecord, ...]
    shadowing: tuple[ModelRecord, ...]

    def chosen_for(self, request_id: str) -> ModelRecord | None:
        """The candidate that is to answer this request; None for the model itself."""
        place = place_of(request_id, self.model)
        for record in self.sharing:
            place -= _share(record)
            if place < 0:
                return record
        return None

    def shadows_for(self, request_id: str) -> list[ModelRecord]:
        """The candidates that are to get a copy of this request."""
        return [record for record in self.shadowing if place_of(request_id, record.name) < _shadow(record)]


class CandidateList:
    """The candidates of each model among `records`, which returns the same tuple for as long as nothing changes."""

    def __init__(self, records: Callable[[], tuple[ModelRecord, ...]]) -> None:
        self._records = records
        self._seen: tuple[ModelRecord, ...] = ()
        self._by_model: dict[str, ModelCandidates] = {}

    def of(self, model: str) -> ModelCandidates | None:
        """None where nothing stands beside this model."""
        records = self._records()
        if records is not self._seen:
            self._seen = records
            self._by_model = _by_model(records)
        return self._by_model.get(model)


class Trial:
    """How a candidate does in this process: how long its clients wait for it before the model answers them, and
    whether it gets any requests now."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._usual_s = FIRST_PATIENCE_S / PATIENCE_TIMES
        self._paused_until_s = float("-inf")

    @property
    def is_paused(self) -> bool:
        """Whether it was late or failed just now."""
        return self._clock() < self._paused_until_s

    def patience_s(self, deadline_s: float) -> float:
        """How long it may take for a request with this deadline."""
        return min(max(LEAST_PATIENCE_S, PATIENCE_TIMES * self._usual_s), MOST_OF_A_DEADLINE * deadline_s)

    def note(self, outcomes: Iterable[Outcome], took_s: float) -> ServingError | None:
        """What it answered after this time; the error for which a pause begins. One that is always late is given more
        time by and by."""
        errors = [one for one in outcomes if isinstance(one, ServingError)]
        if not any(isinstance(error, _OF_THE_REQUEST) for error in errors):
            self._usual_s += (took_s - self._usual_s) / _MEMORY
        failure = next((error for error in errors if not isinstance(error, _OF_THE_REQUEST)), None)
        was_paused = self.is_paused
        if failure is not None:
            self._paused_until_s = self._clock() + PAUSE_S
        return None if was_paused else failure


def can_be_tried(record: ModelRecord) -> bool:
    """Whether a candidate may get a request now. One that is asleep is not woken: its client would wait for it."""
    return record.state is ModelState.READY


def _by_model(records: Iterable[ModelRecord]) -> dict[str, ModelCandidates]:
    found: dict[str, list[ModelRecord]] = {}
    for record in records:
        if record.knobs.candidate is not None:
            found.setdefault(record.knobs.candidate.of, []).append(record)
    return {
        model: ModelCandidates(
            model,
            tuple(one for one in candidates if _share(one) > 0),
            tuple(one for one in candidates if _shadow(one) > 0),
        )
        for model, candidates in found.items()
    }


def _share(record: ModelRecord) -> float:
    return (record.knobs.candidate and record.knobs.candidate.share) or 0.0


def _shadow(record: ModelRecord) -> float:
    return (record.knobs.candidate and record.knobs.candidate.shadow) or 0.0
