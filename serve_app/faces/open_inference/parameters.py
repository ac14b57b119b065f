"""The options in the parameters of a request, under the names of `/v1`. Pure."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import orjson

from deployments.errors import InvalidRequest
from deployments.request import Options
from deployments.text.nearest_name import nearest_of
from serve_app.bodies.option_values import (
    number_in,
    numbers_by_label,
    shown,
    threshold_in,
    tiling_in,
    whole_number_in,
)

TIMEOUT = "timeout"

_WITHOUT_EFFECT = ("priority", "sequence_id", "sequence_start", "sequence_end")
"""Of Triton: there are no priorities and no sequences here, and whoever asks for them relies on them."""

_US_PER_S = 1e6


@dataclass(frozen=True, slots=True)
class Asked:
    """What the parameters ask for. given: names of options, for `refuse_useless`. timeout_s: None without one."""

    options: Options
    given: tuple[str, ...]
    timeout_s: float | None


def asked_in(parameters: Mapping[str, Any], otherwise: Options) -> Asked:
    """otherwise: the options that count where nothing is said. Raises InvalidRequest that names the parameter, the
    limit and the value."""
    known = {*_READ, "tiling", "tiling_overlap", TIMEOUT}
    for name in parameters:
        if name in _WITHOUT_EFFECT:
            raise InvalidRequest(f"{name} has no effect here: there are no priorities and no sequences")
        if name not in known:
            raise InvalidRequest(f"unknown parameter {name[:64]!r}; {nearest_of(name, known)}")
    given = {name: value for name, value in parameters.items() if value is not None}
    timeout_us = given.pop(TIMEOUT, 0)
    if type(timeout_us) is not int or timeout_us < 0:
        raise InvalidRequest(f"{TIMEOUT} must be a whole number of microseconds, got {shown(timeout_us)}")
    values: dict[str, Any] = {name: read(given[name], name) for name, read in _READ.items() if name in given}
    if "tiling" in given or "tiling_overlap" in given:
        values["tiling"] = tiling_in(_text(given, "tiling"), _text(given, "tiling_overlap"))
    return Asked(replace(otherwise, **values), tuple(given), timeout_us / _US_PER_S or None)


def _text(given: Mapping[str, Any], name: str) -> str:
    said = given.get(name, "")
    if isinstance(said, bool) or not isinstance(said, str | int | float):
        raise InvalidRequest(f"{name} must be text or a number, got {shown(said)}")
    return str(said)


def _number(value: Any, name: str) -> float:
    found = number_in(value, name) if isinstance(value, str) else value
    if isinstance(found, bool) or not isinstance(found, int | float):
        raise InvalidRequest(f"{name} must be a number such as 0.5, got {shown(value)}")
    return found


def _whole_number(value: Any, name: str) -> int:
    found = whole_number_in(value, name) if isinstance(value, str) else value
    if type(found) is float and found.is_integer():
        found = int(found)
    if type(found) is not int:
        raise InvalidRequest(f"{name} must be a whole number, got {shown(value)}")
    return found


def _threshold(value: Any, name: str) -> float | dict[str, float]:
    found = threshold_in(value) if isinstance(value, str) else value
    return numbers_by_label(found) if isinstance(found, dict) else _number(found, name)


def _labels(value: Any, name: str) -> tuple[str, ...]:
    """A list; or text, as the clients' parameters are no lists: one label, or a list in JSON."""
    found = value
    if isinstance(value, str):
        found = [value]
        if value.lstrip().startswith("["):
            try:
                found = orjson.loads(value)
            except orjson.JSONDecodeError as error:
                raise InvalidRequest(f"{name} is no list in JSON: {error}, got {value[:50]!r}") from None
    if not isinstance(found, list) or not found or not all(isinstance(one, str) and one for one in found):
        raise InvalidRequest(f'{name} must be a label or a list of labels such as ["Crab"], got {shown(value)}')
    return tuple(found)


_READ: Mapping[str, Callable[[Any, str], Any]] = {
    "score_threshold": _threshold,
    "iou_threshold": _number,
    "max_detections": _whole_number,
    "classes": _labels,
}
