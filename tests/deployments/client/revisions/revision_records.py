"""Records of a model and its candidates."""

from typing import Any

from deployments.catalogue import ModelRecord, ModelState
from deployments.definition import Candidate, ModelDefinition, ModelKnobs


def plain(name: str) -> ModelRecord:
    return ModelRecord(name, ModelDefinition(family="fixed-answer"), ModelKnobs(), ModelState.READY)


def candidate(name: str, of: str = "main", state: ModelState = ModelState.READY, **given: Any) -> ModelRecord:
    """given: share or shadow."""
    knobs = ModelKnobs(candidate=Candidate(of=of, **given))
    return ModelRecord(name, ModelDefinition(family="fixed-answer", revision="2"), knobs, state)
