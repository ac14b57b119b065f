"""The system as YAML: every level validated, against Ray Serve's schemas and the builders' settings; all problems at
once, one line each.

A file is a whole system (it has `applications:`) or the block of one model, as `add` takes it.
"""

import copy
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from ray.serve.config import AutoscalingConfig
from ray.serve.schema import ServeDeploySchema

from deployments.definition import MODEL_IMPORT_PATH
from deployments.text.nearest_name import nearest_of
from serve_app.launcher.configuration.builders import ApplicationBuilder, load_builder
from serve_app.launcher.configuration.candidate_rules import candidate_problems
from serve_app.launcher.configuration.model_rules import model_problems
from serve_app.launcher.configuration.schema_problems import unknown_keys, wrong_values
from serve_app.launcher.configuration.yaml_document import read_yaml, without_anchors
from serve_app.launcher.console import LaunchError

Document = dict[str, Any]


def load_system(path: Path) -> Document:
    """The system in `path`, validated, without its `x-` keys. Raises LaunchError with every problem."""
    document = without_anchors(read_yaml(path))
    _refuse(path, system_problems(document))
    return dict(document)


def load_model_block(path: Path) -> Document:
    """The block of one model in `path`, validated. Raises LaunchError with every problem."""
    block = without_anchors(read_yaml(path))
    _refuse(path, block_problems(block))
    return dict(block)


def check_file(path: Path) -> None:
    """Validates `path` as a system or as the block of a model. Raises LaunchError with every problem."""
    document = read_yaml(path)
    if isinstance(document, dict) and "applications" in document:
        load_system(path)
    else:
        load_model_block(path)


def models_of(document: Document) -> list[Document]:
    """The applications of `document` that are models."""
    return [app for app in document["applications"] if app.get("import_path") == MODEL_IMPORT_PATH]


def block_problems(block: object) -> list[str]:
    """What is wrong with the block of one model, paths counted from the block itself."""
    if not isinstance(block, dict):
        return ["must be the mapping of one application: name, import_path, route_prefix, args, deployments"]
    if block.get("import_path") != MODEL_IMPORT_PATH:
        return [f"import_path: a model's block has {MODEL_IMPORT_PATH} (got {block.get('import_path')!r})"]
    problems = _problems({"applications": [block]}, is_whole=False)
    return [line.removeprefix("applications[0].") for line in problems]


def system_problems(document: object) -> list[str]:
    """What is wrong with a system (a mapping without `x-` keys): every problem once, in reading order."""
    return _problems(document, is_whole=True)


def _problems(document: object, is_whole: bool) -> list[str]:
    """is_whole: whether all models of the system are in the document."""
    if not isinstance(document, dict):
        return ["must be a mapping with applications:"]
    problems = [*unknown_keys(document, ServeDeploySchema)]
    # A deep copy: Ray's schemas change the dictionaries that they validate.
    problems += wrong_values(copy.deepcopy(document), ServeDeploySchema)
    for path, application in _mappings(document.get("applications"), "applications"):
        problems += _application_problems(application, path)
    if not problems:
        problems += model_problems(document, _load)
        problems += candidate_problems(document, is_whole)
    return list(dict.fromkeys(problems))


def _application_problems(application: Document, path: str) -> Iterator[str]:
    for where, deployment in _mappings(application.get("deployments"), f"{path}.deployments"):
        yield from wrong_values(
            copy.deepcopy(deployment.get("autoscaling_config") or {}),
            AutoscalingConfig,
            f"{where}.autoscaling_config",
        )
    import_path = application.get("import_path")
    if not isinstance(import_path, str):
        return
    try:
        builder = load_builder(import_path)
    except ValueError as error:
        yield f"{path}.import_path: {error}"
        return
    if builder.args_model is not None:
        yield from _settings_problems(application.get("args", {}), builder.args_model, f"{path}.args")
    yield from _deployment_problems(application, builder, path)


def _deployment_problems(application: Document, builder: ApplicationBuilder, path: str) -> Iterator[str]:
    known = {*builder.user_config, *builder.max_ongoing_requests}
    seen: set[str] = set()
    for where, deployment in _mappings(application.get("deployments"), f"{path}.deployments"):
        name = deployment.get("name")
        if not isinstance(name, str):
            continue
        if name in seen:
            yield f"{where}.name: {name} is named twice in one application"
        seen.add(name)
        if known and name not in known:
            yield f"{where}.name: unknown deployment {name}; {nearest_of(name, known)}"
        settings = builder.user_config.get(name)
        user_config = deployment.get("user_config")
        if settings is not None and user_config is not None:
            yield from _settings_problems(user_config, settings, f"{where}.user_config")


def _settings_problems(value: object, settings: type[BaseModel], path: str) -> Iterator[str]:
    yield from unknown_keys(value, settings, path)
    yield from wrong_values(value, settings, path)


def _mappings(value: object, path: str) -> Iterator[tuple[str, Document]]:
    if isinstance(value, list):
        yield from ((f"{path}[{i}]", item) for i, item in enumerate(value) if isinstance(item, dict))


def _load(import_path: str) -> ApplicationBuilder:
    return load_builder(import_path)


def _refuse(path: Path, problems: list[str]) -> None:
    if problems:
        raise LaunchError(f"{path}: {problem}" for problem in problems)
