"""The models of the running system, as last seen: what each is, its state, and whether it can answer."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from deployments.definition import ModelDefinition, ModelKnobs
from deployments.errors import ModelNotFound, ModelUnavailable


class ModelState(StrEnum):
    """What a model can do for a client now."""

    STARTING = "starting"
    READY = "ready"
    ASLEEP = "asleep"
    """Zero replicas, by choice; the next request wakes it."""
    UNHEALTHY = "unhealthy"
    FAILED = "failed"
    STOPPING = "stopping"


@dataclass(frozen=True, slots=True)
class ModelRecord:
    """One model of the running system."""

    name: str
    definition: ModelDefinition
    knobs: ModelKnobs
    state: ModelState
    reason: str = ""
    """Why it cannot answer, for people; '' when it can. A model that is asleep and cannot be woken, because its
    weights or its GPU are not there, has a reason too."""
    replicas: int = 0
    """How many run now."""
    last_failure: str = ""
    """Why its last replica did not start, for people; '' when none was tried, or one has started since."""
    is_external: bool = False
    """Whether it runs elsewhere, and is asked through `external.AskExternal`."""

    @property
    def can_answer(self) -> bool:
        """Whether a request may be sent now: ready, or asleep and waking on demand."""
        return self.state is ModelState.READY or (self.state is ModelState.ASLEEP and not self.reason)

    def unavailable(self) -> ModelUnavailable:
        """The error for a client of this model while it cannot answer: its state, and the reason."""
        reason = self.reason
        if not reason and self.last_failure:
            reason = f"the last try to load it failed: {self.last_failure}"
        reason = reason or ("not ready yet" if self.state is ModelState.STARTING else "no reason given")
        return ModelUnavailable(f"model {self.name} is {self.state}: {reason}")

    def why_unanswered(self) -> ModelUnavailable | None:
        """What a client is told whose request was not answered; None where this model is well, as far as known."""
        return None if self.can_answer and not self.last_failure else self.unavailable()

    def answers_for(self, name: str) -> bool:
        """Whether `name` is this model or one of its queues."""
        return name == self.name or name in self.definition.queues


class Catalogue(Protocol):
    """The models of the running system as last seen; a change is noticed within seconds. Never blocks."""

    def records(self) -> tuple[ModelRecord, ...]:
        """All models, sorted by name."""
        ...

    def resolve(self, name: str) -> ModelRecord:
        """The model with this name, or that answers for this queue. Raises ModelNotFound."""
        ...


def resolve_among(records: tuple[ModelRecord, ...], name: str) -> ModelRecord:
    """The record with this name or, failing that, the first that answers for this queue."""
    for record in records:
        if record.name == name:
            return record
    for record in records:
        if record.answers_for(name):
            return record
    raise ModelNotFound(f"no model and no queue is called {name[:128]!r}")
