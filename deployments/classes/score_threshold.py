"""A score threshold: one number, or a number for each of some classes. Imports no NumPy, whose threads would start in
whatever reads a configuration.
"""

from collections.abc import Mapping
from typing import Annotated

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
