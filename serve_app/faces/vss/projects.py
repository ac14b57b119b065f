"""What clients call a project: vectors that are kept under a name, made by one model; or a model by its own name."""

from dataclasses import dataclass

from deployments.catalogue import ModelRecord
from deployments.errors import InvalidRequest, ModelNotFound, ModelUnavailable
from deployments.families import FAMILIES, answers_of
from deployments.prediction import Embedding
from deployments.text.nearest_name import nearest_of
from deployments.vectors import Project, Vectors
from deployments.vectors.limits import LONGEST_PROJECT, checked_name
from serve_app.faces.face import ModelAccess


@dataclass(frozen=True, slots=True)
class KnownProject:
    """record: the model of its vectors.  kept: None where none are kept yet."""

    name: str
    record: ModelRecord
    kept: Project | None


def vectors_of(models: ModelAccess) -> Vectors:
    """Raises ModelUnavailable where nobody keeps any."""
    if models.vectors is None:
        raise ModelUnavailable("this server keeps no vectors: it has no Redis")
    return models.vectors


def checked_project(name: str) -> str:
    """`name` itself. Raises InvalidRequest."""
    return checked_name(name, "project", LONGEST_PROJECT)


async def project_named(models: ModelAccess, name: str) -> KnownProject:
    """Raises InvalidRequest for what cannot be a name, and ModelNotFound for a project that nobody knows."""
    kept = await vectors_of(models).project(checked_project(name))
    if kept is not None:
        return KnownProject(name, _model_of(models, kept), kept)
    if record := _embedders(models).get(name):
        return KnownProject(name, record, None)
    names = await project_names(models)
    raise ModelNotFound(f"Invalid project name {name!r}; {nearest_of(name, names)}")


async def project_to_add(models: ModelAccess, name: str, model: str) -> KnownProject:
    """The project to which images are added, which may be a new one. model: '' for that of its vectors, or the one
    with its name. Raises InvalidRequest and ModelNotFound."""
    kept = await vectors_of(models).project(checked_project(name))
    if kept is None:
        return KnownProject(name, _first_model(models, name, model), None)
    if model and model != kept.source.model:
        raise InvalidRequest(
            f"model: the vectors of project {name!r} were made by {kept.source.model}, got {model[:100]!r}"
        )
    return KnownProject(name, _model_of(models, kept), kept)


def _first_model(models: ModelAccess, name: str, model: str) -> ModelRecord:
    if model:
        return models.catalogue.resolve(model)
    try:
        return models.catalogue.resolve(name)
    except ModelNotFound:
        raise InvalidRequest(
            f"project {name!r} is new, and no model has this name: the field 'model' must say which embeds its images"
        ) from None


async def project_names(models: ModelAccess) -> list[str]:
    """All projects with vectors, and all models that may answer embeddings, sorted."""
    kept = await vectors_of(models).projects()
    return sorted({project.name for project in kept} | _embedders(models).keys())


def _embedders(models: ModelAccess) -> dict[str, ModelRecord]:
    """Of a folder of Hugging Face only a look into it tells, so that it counts unless it says otherwise."""
    return {
        record.name: record
        for record in models.catalogue.records()
        if record.definition.family in FAMILIES and Embedding.what in answers_of(record.definition)
    }


def _model_of(models: ModelAccess, kept: Project) -> ModelRecord:
    try:
        return models.catalogue.resolve(kept.source.model)
    except ModelNotFound:
        raise ModelNotFound(
            f"the vectors of project {kept.name!r} were made by model {kept.source.model}, which is not served now"
        ) from None
