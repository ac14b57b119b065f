"""What clients may write for the options of a prediction, in any face: numbers, thresholds by class,
tiling, regions. Pure."""

import math
import re
from typing import Any, Literal

import orjson
from pydantic import ValidationError

from deployments.definition import Tiling
from deployments.errors import InvalidRequest
from deployments.request import MAX_REGIONS, SHOWN_CHARACTERS, Region
from deployments.text.short_number import short_number

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)
_LONGEST_NUMBER = 50
_SIDES = ("x1", "y1", "x2", "y2")
_REGIONS = '[{"x1": 0, "y1": 0, "x2": 640, "y2": 480}]'
_MAX_SIDE_PX = 2**31
"""Beyond any image that is read."""
_SIZE = re.compile(r"(\d{1,5})\s*[xX]\s*(\d{1,5})", re.ASCII)


def shown(value: Any) -> str:
    """The beginning of a value of JSON, for messages."""
    try:
        return repr(str(value)[:SHOWN_CHARACTERS])
    except RecursionError:
        return "lists or objects within each other, too many to show"


def number_in(text: str, name: str) -> float | None:
    """None for blank text. Raises InvalidRequest that names the option."""
    text = text.strip()
    if not text:
        return None
    # Python itself also reads infinities, underscores and the digits of all scripts.
    if len(text) > _LONGEST_NUMBER or not _NUMBER.fullmatch(text):
        raise InvalidRequest(f"{name} must be a number such as 0.5, got {text[:50]!r}")
    return float(text)


def whole_number_in(text: str, name: str) -> int | None:
    """None for blank text. Raises InvalidRequest that names the option."""
    number = number_in(text, name)
    if number is None:
        return None
    if not number.is_integer():
        raise InvalidRequest(f"{name} must be a whole number, got {text.strip()[:50]!r}")
    return int(number)


def share(number: float | None, name: str) -> float | None:
    """`number` itself. Raises InvalidRequest that names the option, as its face calls it, where it is not 0 to 1."""
    if number is not None and not 0.0 <= number <= 1.0:
        raise InvalidRequest(f"{name} must be between 0 and 1, got {short_number(number)}")
    return number


def json_number(value: Any, name: str) -> float:
    """A number of a JSON body. Raises InvalidRequest that names the option."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise InvalidRequest(f"{name} must be a number such as 0.5, got {shown(value)}")
    return value


def json_whole_number(value: Any, name: str) -> int:
    """A whole number of a JSON body. Raises InvalidRequest that names the option."""
    number = json_number(value, name)
    if number != int(number):
        raise InvalidRequest(f"{name} must be a whole number, got {short_number(number)}")
    return int(number)


def json_labels(value: Any, name: str) -> tuple[str, ...]:
    """Labels of a JSON body. Raises InvalidRequest that names the option."""
    if not isinstance(value, list) or not value or not all(isinstance(label, str) for label in value):
        raise InvalidRequest(f'{name} must be a list of labels such as ["Crab"], got {shown(value)}')
    return tuple(value)


def threshold_in(text: str) -> float | dict[str, float] | None:
    """A number, or JSON with numbers by label. None for blank text. Raises InvalidRequest."""
    text = text.strip()
    if not text.startswith("{"):
        return number_in(text, "score_threshold")
    try:
        found: dict[str, Any] = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise InvalidRequest(
            f'score_threshold must be a number or JSON such as {{"crab": 0.5, "*": 0.2}}: {error}, got {text[:50]!r}'
        ) from None
    return numbers_by_label(found)


def numbers_by_label(found: dict[str, Any]) -> dict[str, float]:
    """`found`, where all its values are numbers. Raises InvalidRequest that names the label."""
    for label, value in found.items():
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise InvalidRequest(
                f"score_threshold of {label[:SHOWN_CHARACTERS]!r} must be a number, got {shown(value)}"
            )
    return found


def regions_in(text: str) -> tuple[Region, ...]:
    """JSON with regions. Raises InvalidRequest."""
    try:
        return regions_of(orjson.loads(text))
    except orjson.JSONDecodeError as error:
        raise InvalidRequest(f"regions must be JSON such as {_REGIONS}: {error}, got {text[:50]!r}") from None


def regions_of(found: Any) -> tuple[Region, ...]:
    """Regions from a list of objects with x1, y1, x2 and y2 in pixels; parts of pixels are rounded outwards. Raises
    InvalidRequest, also for more than there may be."""
    if not isinstance(found, list) or not 1 <= len(found) <= MAX_REGIONS:
        what = f"{len(found)} of them" if isinstance(found, list) else repr(str(found)[:50])
        raise InvalidRequest(f"regions must be a list of 1 to {MAX_REGIONS} such as {_REGIONS}, got {what}")
    return tuple(_region(index, one) for index, one in enumerate(found))


def _region(index: int, found: Any) -> Region:
    if not isinstance(found, dict) or found.keys() != set(_SIDES):
        raise InvalidRequest(f"regions[{index}] must have x1, y1, x2, y2 and nothing else, got {str(found)[:100]!r}")
    sides = [found[name] for name in _SIDES]
    for name, side in zip(_SIDES, sides, strict=True):
        if isinstance(side, bool) or not isinstance(side, int | float) or not abs(side) <= _MAX_SIDE_PX:
            raise InvalidRequest(f"regions[{index}].{name} must be a number of pixels, got {str(side)[:50]!r}")
    x1, y1, x2, y2 = sides
    return math.floor(x1), math.floor(y1), math.ceil(x2), math.ceil(y2)


def tiling_in(said: str, overlap: str) -> Tiling | Literal["off"] | None:
    """What `tiling` (`on`, `off` or the size of a tile in pixels) and `tiling_overlap` (a part of a tile) ask for.
    None where both are blank, so that the model's own knob counts.

    Raises InvalidRequest that names the field, the limit and the value.
    """
    said, overlap = said.strip().lower(), overlap.strip()
    if said in ("", "off"):
        if overlap:
            raise InvalidRequest("tiling_overlap has no effect without tiling, which must be 'on' or a size then")
        return "off" if said else None
    given: dict[str, Any] = {"overlap": overlap} if overlap else {}
    if said != "on":
        size = _SIZE.fullmatch(said)
        if size is None:
            raise InvalidRequest(f"tiling must be 'on', 'off' or WIDTHxHEIGHT in pixels, got {said[:50]!r}")
        given |= {"tile_width_px": size[1], "tile_height_px": size[2]}
    try:
        return Tiling.model_validate(given)
    except ValidationError as error:
        [first, *_] = error.errors(include_url=False)
        field = "tiling_overlap" if first["loc"] == ("overlap",) else f"tiling: {first['loc'][0]}"
        raise InvalidRequest(f"{field}: {first['msg']}, got {str(first['input'])[:50]!r}") from None
