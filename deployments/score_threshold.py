"""A score threshold: one number, or a number for each of some classes."""

from collections.abc import Mapping
from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import Discriminator, Field, Tag

OTHER_CLASSES = "*"
"""In a mapping, stands for the classes that it does not name."""

DEFAULT = 0.25
"""For classes of which nothing is said."""

Share = Annotated[float, Field(ge=0, le=1)]

ScoreThreshold = Annotated[
    Annotated[Share, Tag("number")] | Annotated[dict[str, Share], Tag("mapping")],
    Discriminator(lambda value: "mapping" if isinstance(value, dict) else "number"),
]
"""Told apart first, so that an error speaks of the one that was meant."""


def named_in(threshold: float | Mapping[str, float] | None) -> tuple[str, ...]:
    """The classes that have a threshold of their own."""
    return tuple(name for name in threshold if name != OTHER_CLASSES) if isinstance(threshold, Mapping) else ()


def resolved(labels: tuple[str, ...], *thresholds: float | Mapping[str, float] | None) -> float | NDArray[np.float32]:
    """What counts for a model with these labels: the first of `thresholds` that says something of a class.

    One number where the first is one, else float32 (classes,) in the order of `labels`.
    """
    given = [one for one in thresholds if one is not None]
    first = given[0] if given else DEFAULT
    if not isinstance(first, Mapping):
        return first
    floors = np.full(len(labels), DEFAULT, np.float32)
    for threshold in reversed(given):
        if not isinstance(threshold, Mapping):
            floors[:] = threshold
            continue
        floors[:] = threshold.get(OTHER_CLASSES, floors)
        for index, label in enumerate(labels):
            floors[index] = threshold.get(label, floors[index])
    return floors
