"""The options of a prediction, in the query, in a form or in JSON. Pure.

Each source is read to values of one type, so that the same option can be compared wherever it was given.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import parse_qsl

from deployments.errors import InvalidRequest
from deployments.request import Options, Region
from deployments.text.nearest_name import nearest_of
from serve_app.bodies.forms import MAX_FIELD_BYTES, MAX_PARTS
from serve_app.bodies.option_values import (
    json_labels,
    json_number,
    json_whole_number,
    number_in,
    numbers_by_label,
    regions_in,
    regions_of,
    shown,
    threshold_in,
    tiling_in,
    whole_number_in,
)

CLASSES = "classes"
REGIONS = "regions"
POINTS = "points"
FORMAT = "format"

Value = float | str | tuple[str, ...] | tuple[Region, ...] | Mapping[str, float]

Given = dict[str, Value]
"""Option -> its value; an option that was not given is missing."""


def from_query(query: bytes) -> Given:
    """Raises InvalidRequest, which names the parameter."""
    if not query:
        return {}
    try:
        pairs = parse_qsl(query.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=MAX_PARTS)
    except ValueError:
        raise InvalidRequest(
            f"the query must be percent-encoded UTF-8 with at most {MAX_PARTS} parameters, got {query[:100]!r}"
        ) from None
    for name, _ in pairs:
        if name not in NAMES:
            raise unknown("query parameter", name, NAMES)
    return from_texts(pairs)


def unknown(kind: str, name: str, known: Iterable[str]) -> InvalidRequest:
    """The error for a name that is no option. kind: what it is called where it stands."""
    if name == POINTS:
        return InvalidRequest(
            "points belong to models that segment what is pointed at, and none of the models here does; external "
            "workers that do are asked at /sam/, /sam_v2/, /sam_multi/ and /sam_multi_v2/"
        )
    return InvalidRequest(f"unknown {kind} {name[:100]!r}; {nearest_of(name, known)}")


def from_texts(pairs: Iterable[tuple[str, str]]) -> Given:
    """From names, all of them in NAMES, and text; `classes` may be repeated. Raises InvalidRequest."""
    texts: dict[str, list[str]] = {}
    for name, text in pairs:
        if len(text) > MAX_FIELD_BYTES:
            raise InvalidRequest(f"{name} has {len(text)} characters, the limit is {MAX_FIELD_BYTES}")
        if not text.strip():
            raise InvalidRequest(f"{name} is empty; leave it out where the model's own is meant")
        texts.setdefault(name, []).append(text)
    given: Given = {}
    for name, several in texts.items():
        if name == CLASSES:
            given[name] = tuple(several)
            continue
        for text in several:
            _add(given, name, _FROM_TEXT[name](text))
    return given


def from_json(members: Mapping[str, Any]) -> Given:
    """From members of a JSON object, all of them in NAMES; one that is null counts as missing. Raises
    InvalidRequest."""
    return {name: _FROM_JSON[name](value, name) for name, value in members.items() if value is not None}


def joined(first: Given, second: Given) -> Given:
    """Both. Raises InvalidRequest where they say different things of one option."""
    if not (first and second):
        return first or second
    together = dict(first)
    for name, value in second.items():
        _add(together, name, value)
    return together


def options_in(given: Given) -> Options:
    """What a model is asked with. Raises InvalidRequest that names the option, the limit and the value."""
    values: dict[str, Any] = {name: given.get(name) for name in _AS_THEY_ARE}
    overlap = given.get("tiling_overlap")
    values["tiling"] = tiling_in(str(given.get("tiling", "")), "" if overlap is None else str(overlap))
    return Options(**values)


def _add(given: Given, name: str, value: Value) -> None:
    said = given.setdefault(name, value)
    if said != value:
        raise InvalidRequest(f"{name} is given twice, as {str(said)[:50]} and as {str(value)[:50]}")


def _threshold(value: Any, name: str) -> Value:
    return _not_empty(numbers_by_label(value)) if isinstance(value, dict) else json_number(value, name)


def _not_empty(threshold: Any) -> Any:
    if threshold == {}:
        raise InvalidRequest("score_threshold is empty; leave it out where the model's own is meant")
    return threshold


def _word(value: Any, name: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise InvalidRequest(f"{name} must be text, got {shown(value)}")
    return value.strip().lower()


_FROM_TEXT: Mapping[str, Callable[[str], Any]] = {
    "score_threshold": lambda text: _not_empty(threshold_in(text)),
    "iou_threshold": lambda text: number_in(text, "iou_threshold"),
    "max_detections": lambda text: whole_number_in(text, "max_detections"),
    "tiling": lambda text: _word(text, "tiling"),
    "tiling_overlap": lambda text: number_in(text, "tiling_overlap"),
    REGIONS: regions_in,
    FORMAT: lambda text: _word(text, FORMAT),
}

_FROM_JSON: Mapping[str, Callable[[Any, str], Value]] = {
    "score_threshold": _threshold,
    "iou_threshold": json_number,
    "max_detections": json_whole_number,
    CLASSES: json_labels,
    "tiling": _word,
    "tiling_overlap": json_number,
    REGIONS: lambda value, name: regions_of(value),
    FORMAT: _word,
}

NAMES = frozenset(_FROM_JSON)

_AS_THEY_ARE = ("score_threshold", "iou_threshold", "max_detections", CLASSES, REGIONS)
