"""Whether a system's answer is right: the boxes that our own pipeline finds for the same image. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

BOX_TOLERANCE_PX = 2.0
SCORE_TOLERANCE = 0.02
_BORDERLINE = 0.05
"""Rows whose score is this close to the threshold may be found or not: sums in another order differ in the last
digits."""

_THRESHOLD = 0.25
_CORNERS = ("x1", "y1", "x2", "y2")


def legacy_rows_in(document: Mapping[str, Any]) -> object:
    """The legacy list of detections in an answer, be it the legacy one or that of `/v1` for one image."""
    if "images" not in document:
        return document.get("predictions")
    [image] = document["images"]
    return [
        {"category_id": one["label"], "scores": [one["score"]], "bbox": [one["box"][key] for key in _CORNERS]}
        for one in image["detections"]
    ]


def mistakes(expected: Sequence[Any], given: object) -> list[str]:
    """What is wrong with `given`, in sentences; empty when it is right. Both are legacy lists of detections."""
    if not isinstance(given, list):
        return [f"the answer is not a list but {type(given).__name__}"]
    try:
        missing = [row for row in _clear(expected) if not any(_is_same(row, other) for other in given)]
        invented = [row for row in _clear(given) if not any(_is_same(row, other) for other in expected)]
    except (KeyError, IndexError, TypeError) as error:
        return [f"a row lacks what every client reads: {error!r}"]
    found = [f"{row['category_id']} at {row['bbox']} is missing" for row in missing]
    return found + [f"{row['category_id']} at {row['bbox']} should not be there" for row in invented]


def _clear(rows: Sequence[Any]) -> list[Any]:
    return [row for row in rows if row["scores"][0] > _THRESHOLD + _BORDERLINE]


def _is_same(one: Any, other: Any) -> bool:
    return bool(
        one["category_id"] == other["category_id"]
        and abs(one["scores"][0] - other["scores"][0]) <= SCORE_TOLERANCE
        and all(abs(a - b) <= BOX_TOLERANCE_PX for a, b in zip(one["bbox"], other["bbox"], strict=True))
    )
