"""The options of a prediction, and how they are written into a query."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, TypedDict


class Options(TypedDict, total=False):
    """What may be asked of one prediction; the model's own settings hold where nothing is said. The server refuses
    what it does not know, and what this model has no use for."""

    score_threshold: float | Mapping[str, float]
    """0 to 1; or one for each of some labels, where "*" stands for all others."""

    iou_threshold: float
    """0 to 1: boxes that overlap more count as one animal."""

    max_detections: int

    classes: Sequence[str]
    """Labels to keep."""

    tiling: str | bool
    """"on" (or True): a large image is also looked at in tiles; "off" (or False); "WIDTHxHEIGHT" of a tile in px."""

    tiling_overlap: float
    """0 to 0.8: the part of a tile that it shares with its neighbour."""

    regions: Sequence[Mapping[str, float]]
    """Parts of the image to look at: `{"x1", "y1", "x2", "y2"}` of each, in pixels of the image."""


def query_of(options: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The parameters of the query. None: as if it was not given."""
    given = {name: value for name, value in options.items() if value is not None}
    return [(name, text) for name, value in given.items() for text in _texts(value)]


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    if isinstance(value, bool):
        return ["on" if value else "off"]
    if isinstance(value, Mapping):
        return [json.dumps({label: float(number) for label, number in value.items()})]
    if isinstance(value, Sequence) and value and isinstance(value[0], Mapping):
        return [json.dumps([{side: float(px) for side, px in one.items()} for one in value])]
    if isinstance(value, (Sequence, set, frozenset)):
        return [str(one) for one in value]
    return [str(value)]
