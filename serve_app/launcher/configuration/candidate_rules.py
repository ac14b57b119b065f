"""Rules for candidates: models that may replace another one. Works on a system that has passed its schemas."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from deployments.definition import DEPLOYMENT_NAME, MODEL_IMPORT_PATH, Candidate, ModelDefinition, ModelKnobs
from deployments.families import FAMILIES, FOLDER_SAYS, answers_of
from deployments.prediction import Detections
from deployments.text.nearest_name import nearest_of


@dataclass(frozen=True, slots=True)
class _Model:
    """One model of the document. where: path of its application; there: path of its `candidate`."""

    name: str
    definition: ModelDefinition
    candidate: Candidate | None
    least_replicas: int
    where: str
    there: str

    @property
    def answers(self) -> str:
        """The kind of its answers."""
        return answers_of(self.definition) if self.definition.family in FAMILIES else Detections.what


def candidate_problems(document: dict[str, Any], is_whole: bool = True) -> Iterator[str]:
    """What is wrong with the candidates of `document`. is_whole: whether all models of the system are in it."""
    models = {one.name: one for one in _models(document)}
    shares: dict[str, Fraction] = defaultdict(Fraction)
    for model in models.values():
        if model.candidate is None:
            continue
        yield from _own_problems(model)
        of = models.get(model.candidate.of)
        if of is None:
            if is_whole:
                yield f"{model.there}.of: no model is called {model.candidate.of}; {_nearest(model, models)}"
            continue
        yield from _problems_beside(model, of)
        # As text: in floating point, 0.7 + 0.2 + 0.1 is not 1.
        shares[of.name] += Fraction(str(model.candidate.share or 0))
        if model.candidate.share and shares[of.name] > 1:
            total = float(shares[of.name])
            yield f"{model.there}.share: the shares of all candidates of {of.name} add up to {total:g}, above 1"


def _own_problems(model: _Model) -> Iterator[str]:
    if model.definition.queues:
        yield f"{model.where}.args.queues: a candidate has none; its jobs are those of its model"
    if model.definition.required:
        yield f"{model.where}.args.required: a candidate is never required, as its model answers without it"
    if model.least_replicas < 1:
        path = model.there.removesuffix("user_config.candidate")
        yield f"{path}autoscaling_config.min_replicas: a candidate needs at least 1, as its requests do not wake it"


def _problems_beside(model: _Model, of: _Model) -> Iterator[str]:
    assert model.candidate is not None
    if of is model:
        yield f"{model.there}.of: a model is no candidate of itself"
    elif of.candidate is not None:
        yield f"{model.there}.of: {of.name} is a candidate itself"
    if FOLDER_SAYS in (model.answers, of.answers):
        undeclared = model if model.answers == FOLDER_SAYS else of
        yield (
            f"{undeclared.where}.args.parameters.answer: is missing; class-scores or embedding, since a candidate "
            "must answer as its model does"
        )
    elif model.answers != of.answers:
        yield f"{model.there}.of: {of.name} answers with {of.answers}, and {model.name} with {model.answers}"
    elif of.answers != Detections.what:
        if model.candidate.shadow is not None:
            yield f"{model.there}.shadow: compares boxes, and {of.name} answers with {of.answers}"
        if model.definition.labels != of.definition.labels:
            yield f"{model.where}.args.labels: must be those of {of.name}, as a classifier's answer has no names"


def _models(document: dict[str, Any]) -> Iterator[_Model]:
    for index, application in enumerate(document.get("applications", [])):
        if application.get("import_path") != MODEL_IMPORT_PATH:
            continue
        for position, deployment in enumerate(application.get("deployments") or []):
            if deployment["name"] != DEPLOYMENT_NAME:
                continue
            where = f"applications[{index}]"
            yield _Model(
                name=application.get("name", "default"),
                definition=ModelDefinition.model_validate(application.get("args") or {}),
                candidate=ModelKnobs.model_validate(deployment.get("user_config") or {}).candidate,
                least_replicas=(deployment.get("autoscaling_config") or {}).get("min_replicas", 1),
                where=where,
                there=f"{where}.deployments[{position}].user_config.candidate",
            )


def _nearest(model: _Model, models: dict[str, _Model]) -> str:
    assert model.candidate is not None
    return nearest_of(model.candidate.of, [name for name, one in models.items() if one.candidate is None])
