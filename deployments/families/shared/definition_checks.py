"""What each family checks of its definition: weights, parameters, labels, canvas. One message for each fault."""

from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from deployments.definition import ModelDefinition, Settings
from deployments.errors import ModelUnavailable

ParametersT = TypeVar("ParametersT", bound=Settings)

_NO_VALUE = frozenset({"missing", "extra_forbidden", "value_error"})
"""Kinds of errors whose message needs no value: there is none, or the message has it."""


class NoParameters(Settings):
    """The `parameters` of a family that takes none."""


def needed_weights(definition: ModelDefinition, what: str) -> Path:
    """The path of the weights. what: the kind of file, for the message. Raises ModelUnavailable without one."""
    if definition.weights_path is None:
        raise ModelUnavailable(f"family {definition.family!r} needs `weights`, the path of {what}")
    return definition.weights_path


def read_parameters(definition: ModelDefinition, kind: type[ParametersT]) -> ParametersT:
    """The checked `parameters` of `definition`. Raises ModelUnavailable, naming the field."""
    try:
        return kind.model_validate(definition.parameters)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in ("parameters", *first["loc"]))
        got = "" if first["type"] in _NO_VALUE else f", got {str(first['input'])[:60]}"
        raise ModelUnavailable(
            f"{name} of family {definition.family!r}: {first['msg'].removeprefix('Value error, ')}{got}; "
            f"known: {', '.join(kind.model_fields) or 'none'}"
        ) from error


def checked_labels(
    owner: str,
    declared: tuple[str, ...] | None,
    found: tuple[str, ...] | None,
    class_count: int,
    or_else: str = "",
) -> tuple[str, ...]:
    """The declared labels, or else those found in the file, one for each class.

    owner, or_else: for the message, what has the classes, and what may be given instead of `labels`. Raises
    ModelUnavailable when there are no labels, or when their number is another.
    """
    labels = declared or found
    if labels is None:
        raise ModelUnavailable(
            f"{owner} names no classes, so the definition needs `labels`{or_else}; it has {class_count} classes"
        )
    if len(labels) != class_count:
        raise ModelUnavailable(f"{owner} has {class_count} classes, but the definition names {len(labels)} labels")
    return labels


def check_canvas(canvas_px: tuple[int, int], stride_px: int, owner: str) -> None:
    """Raise ModelUnavailable, with the nearest fitting canvas, unless both sides are multiples of the stride.

    canvas_px: height and width.  owner: what has the stride, for the message.
    """
    if any(side <= 0 or side % stride_px for side in canvas_px):
        near = tuple(max(stride_px, round(side / stride_px) * stride_px) for side in canvas_px)
        raise ModelUnavailable(
            f"canvas_px {canvas_px} must be multiples of {stride_px}, the largest stride of {owner}; "
            f"the nearest are {near}"
        )
