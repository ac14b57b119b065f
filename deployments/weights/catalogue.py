"""The models with weights that configuration files name: what `python -m deployments.weights` works on.

Reads the YAML of a system as it is. The launcher validates it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import TypeAdapter, ValidationError

from deployments.definition import MODEL_IMPORT_PATH, ModelDefinition, WeightsSource

CATALOGUE_FILE = Path(__file__).resolve().parents[2] / "configs" / "fathomnet.yaml"

INCOMPLETE_KEY = "x-incomplete"
"""Top-level key: name of a model -> what is not known about it. A name without an application is not hosted."""

_INCOMPLETE = TypeAdapter(dict[str, tuple[str, ...]])


class CatalogueError(Exception):
    """A file or a name that cannot be used; the text says which and why."""


@dataclass(frozen=True, slots=True)
class CatalogueModel:
    """One model."""

    name: str

    definition: ModelDefinition | None
    """None for a model that is only known to exist."""

    missing: tuple[str, ...] = ()
    """What is not known about it."""

    @property
    def source(self) -> WeightsSource | None:
        """Where its weights come from."""
        return None if self.definition is None else self.definition.weights_source


def read_document(path: Path) -> dict[str, Any]:
    """The YAML mapping in `path`, `x-` keys included. Raises CatalogueError."""
    try:
        document = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise CatalogueError(f"{path}: cannot be read: {' '.join(str(error).split())}") from error
    if not isinstance(document, dict):
        raise CatalogueError(f"{path}: must be a mapping with applications:, or the block of one model")
    return document


def read_catalogue(paths: Iterable[Path]) -> tuple[CatalogueModel, ...]:
    """The models with fetched weights in these files, in their order, and those that are not hosted. A model that
    two files name is taken from the first. Raises CatalogueError."""
    models: dict[str, CatalogueModel] = {}
    for path in paths:
        document = read_document(path)
        try:
            missing = _INCOMPLETE.validate_python(document.get(INCOMPLETE_KEY) or {})
            for block in document.get("applications", [document]):
                if block.get("import_path") == MODEL_IMPORT_PATH:
                    definition = ModelDefinition.model_validate(block.get("args") or {})
                    if definition.weights_source is not None:
                        name = str(block.get("name"))
                        models.setdefault(name, CatalogueModel(name, definition, missing.get(name, ())))
        except (ValidationError, AttributeError, TypeError) as error:
            raise CatalogueError(f"{path}: {error}") from error
        for name, what in missing.items():
            models.setdefault(name, CatalogueModel(name, None, what))
    return tuple(models.values())


def chosen_models(models: tuple[CatalogueModel, ...], names: Iterable[str]) -> tuple[CatalogueModel, ...]:
    """The hosted models with these names, or all when there are none. Raises CatalogueError for another name."""
    hosted = {model.name: model for model in models if model.source is not None}
    wanted = list(names) or list(hosted)
    unknown = [name for name in wanted if name not in hosted]
    if unknown:
        raise CatalogueError(f"no model {', '.join(unknown)}; known: {', '.join(sorted(hosted))}")
    return tuple(hosted[name] for name in wanted)
