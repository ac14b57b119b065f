"""Rules that tie the parts of a configuration together, which a schema of one level cannot see.

Works on a system that has already passed its schemas.
"""

from collections.abc import Callable, Iterator
from typing import Any

from deployments.classes.score_threshold import named_in
from deployments.definition import DEPLOYMENT_NAME, MODEL_IMPORT_PATH, ModelDefinition, ModelKnobs, is_valid_name
from deployments.families import FAMILIES, can_limit_memory
from deployments.text.nearest_name import nearest_in_any_case, nearest_of
from deployments.weights.weights_uri import InvalidWeightsUri, parse_uri
from serve_app.launcher.configuration.builders import ApplicationBuilder

IMAGES_POLICY = "deployments.autoscaling:images_where_there_is_room"
"""The policy that counts images. A model with at most one replica does not need it, unless it is to give up its place
to others."""

BATCHES_IN_WORK = 2
"""A replica needs one batch in inference and the next one waiting, or the batches stay small."""


def model_problems(document: dict[str, Any], load: Callable[[str], ApplicationBuilder]) -> Iterator[str]:
    """What is wrong with the models of `document`; `load` gives the builder of an import path."""
    owners: dict[str, str] = {}
    for index, application in enumerate(document.get("applications", [])):
        if application.get("import_path") != MODEL_IMPORT_PATH:
            continue
        path = f"applications[{index}]"
        name = application.get("name", "default")
        if not is_valid_name(name):
            yield f"{path}.name: a model's name is letters, digits, . _ - and at most 128 long (got {name!r})"
        definition = ModelDefinition.model_validate(application.get("args", {}))
        yield from _name_problems(name, definition, owners, path)
        yield from _content_problems(definition, path)
        yield from _replica_problems(application, definition, load, path)


def _name_problems(name: str, definition: ModelDefinition, owners: dict[str, str], path: str) -> Iterator[str]:
    if owners.setdefault(name, name) != name:
        yield f"{path}.name: {name} is already a queue of model {owners[name]}"
    for position, queue in enumerate(definition.queues):
        owner = owners.setdefault(queue, name)
        if owner != name:
            yield f"{path}.args.queues[{position}]: {queue} already belongs to model {owner}"


def _content_problems(definition: ModelDefinition, path: str) -> Iterator[str]:
    if definition.family not in FAMILIES:
        yield f"{path}.args.family: unknown family {definition.family!r}; {nearest_of(definition.family, FAMILIES)}"
    if definition.weights_source is not None:
        try:
            is_folder = parse_uri(definition.weights_source).is_folder
        except InvalidWeightsUri as error:
            yield f"{path}.args.weights: {error}"
            return
        entry = FAMILIES.get(definition.family)
        if entry is not None and entry.fetches_folder != is_folder:
            form = "hf://OWNER/REPO" if entry.fetches_folder else "the URI of one file"
            kind = "a whole repository" if is_folder else "one file"
            yield f"{path}.args.weights: names {kind}, but family {definition.family} takes {form}"


def _autoscaling_problems(config: Any, path: str) -> Iterator[str]:
    if not isinstance(config, dict):
        yield (
            f"{path}: is missing; give it even when min_replicas = max_replicas, "
            "as adding it later replaces the replicas"
        )
    elif config.get("max_replicas", 1) > 1 and config.get("policy") is None:
        yield (
            f"{path}.policy: is missing; without it Serve counts calls, which may carry many images. "
            f"Add policy: {{policy_function: {IMAGES_POLICY}}}"
        )


def _memory_problems(definition: ModelDefinition, deployment: dict[str, Any], path: str) -> Iterator[str]:
    if definition.memory_limit_mib is None:
        return
    if not can_limit_memory(definition.family):
        yield f"{path}.args.memory_limit_mib: has no effect on {definition.family}, which TensorFlow does not run"
    if not (deployment.get("ray_actor_options") or {}).get("num_gpus"):
        yield f"{path}.args.memory_limit_mib: has no effect without a share of a GPU, and num_gpus is 0"


def _class_problems(definition: ModelDefinition, knobs: ModelKnobs, path: str) -> Iterator[str]:
    if definition.labels is not None:
        for name in set(named_in(knobs.score_threshold)) - set(definition.labels):
            near = nearest_in_any_case(name, definition.labels, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"it has {len(definition.labels)} others"
            yield f"{path}.score_threshold: the model has no class {name!r}; {hint}"


def _replica_problems(
    application: dict[str, Any], definition: ModelDefinition, load: Callable[[str], ApplicationBuilder], path: str
) -> Iterator[str]:
    if application.get("route_prefix", "/") is not None:
        yield f"{path}.route_prefix: must be null, models are reached through the doors"
    deployments = application.get("deployments", [])
    index = next((i for i, one in enumerate(deployments) if one["name"] == DEPLOYMENT_NAME), None)
    if index is None:
        yield f"{path}.deployments: needs an entry named {DEPLOYMENT_NAME} with an autoscaling_config"
        return
    deployment, where = deployments[index], f"{path}.deployments[{index}]"
    yield from _memory_problems(definition, deployment, path)
    yield from _autoscaling_problems(deployment.get("autoscaling_config"), f"{where}.autoscaling_config")
    knobs = ModelKnobs.model_validate(deployment.get("user_config") or {})
    yield from _class_problems(definition, knobs, f"{where}.user_config")
    limit = definition.largest_batch if knobs.batch_limit is None else knobs.batch_limit
    if limit > definition.largest_batch:
        yield (
            f"{where}.user_config.batch_limit: must be at most args.largest_batch, "
            f"{definition.largest_batch} (got {limit})"
        )
    ongoing = deployment.get("max_ongoing_requests")
    if ongoing is None:
        ongoing = load(MODEL_IMPORT_PATH).max_ongoing_requests[DEPLOYMENT_NAME]
    if ongoing < BATCHES_IN_WORK * limit:
        yield (
            f"{where}.max_ongoing_requests: must be at least {BATCHES_IN_WORK} x the batch limit, "
            f"{BATCHES_IN_WORK * limit}, or batches cannot fill (got {ongoing})"
        )
