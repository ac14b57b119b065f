"""Finds keys that a pydantic model does not know, and names the nearest right one.

Ray Serve silently drops unknown keys at every level of its schemas, so a misspelt key would have no effect, and
nobody would know.
"""

import inspect
from collections.abc import Iterator
from typing import Any, get_args, get_origin

from pydantic import BaseModel, ValidationError

from deployments.process.shown_address import shown_text
from deployments.text.nearest_name import nearest_of


def unknown_keys(value: Any, model: type[BaseModel], path: str = "") -> Iterator[str]:
    """One sentence for each key in `value`, and in what is nested in it, that `model` does not have."""
    if not isinstance(value, dict):
        return
    fields = {field.alias or name: field for name, field in model.model_fields.items()}
    for key, item in value.items():
        field = fields.get(key)
        if field is None:
            yield f"{joined(path, str(key))}: unknown key; {nearest_of(key, fields)}"
            continue
        nested = _model_in(field.annotation)
        if nested is None:
            continue
        if isinstance(item, list):
            for index, element in enumerate(item):
                yield from unknown_keys(element, nested, f"{joined(path, key)}[{index}]")
        elif get_origin(field.annotation) is dict and isinstance(item, dict):
            for name, element in item.items():
                yield from unknown_keys(element, nested, f"{joined(path, key)}.{name}")
        elif get_origin(field.annotation) is not list:
            yield from unknown_keys(item, nested, joined(path, key))


def wrong_values(value: Any, model: type[BaseModel], path: str = "") -> Iterator[str]:
    """One sentence for each value that `model` refuses; unknown keys are left to `unknown_keys`."""
    try:
        model.model_validate(value)
    except ValidationError as error:
        for detail in error.errors(include_url=False):
            if detail["type"] == "extra_forbidden":
                continue
            where = _path_in(value, detail["loc"], path) or "the file"
            yield f"{where}: {_sentence(detail['msg'], detail['type'], detail['input'])}"


def joined(path: str, key: str) -> str:
    """`path` and `key` with a dot between, if there is a path."""
    return f"{path}.{key}" if path else key


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if inspect.isclass(annotation) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := _model_in(part)) is not None), None)


def _path_in(value: Any, location: tuple[int | str, ...], path: str) -> str:
    # pydantic also puts the names of union members into a location: only steps through the document are kept.
    for position, step in enumerate(location):
        if isinstance(step, int):
            path = f"{path}[{step}]"
        elif isinstance(value, dict) and (step in value or position == len(location) - 1):
            path = joined(path, step)
        else:
            continue
        value = _child(value, step)
    return path


def _child(value: Any, step: int | str) -> Any:
    try:
        return value[step]
    except (KeyError, IndexError, TypeError):
        return None


def _sentence(message: str, kind: str, given: Any) -> str:
    if kind == "missing":
        return "is missing"
    message = message.removeprefix("Value error, ")
    # The address of weights may hold a signature, and what is printed here ends up in logs.
    shown = isinstance(given, str | int | float | bool | None) and repr(given) not in message
    return shown_text(f"{message} (got {given!r})" if shown else message)
