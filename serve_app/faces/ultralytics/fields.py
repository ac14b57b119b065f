"""The fields of the form. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from deployments.errors import InvalidRequest
from deployments.request import Options
from deployments.text.short_number import short_number
from serve_app.bodies.forms import Accepted
from serve_app.bodies.option_values import number_in, share, whole_number_in

MOST_DECIMALS = 10
DECIMALS = 5
IMGSZ_PX = (32, 1280)

ACCEPTED = Accepted(frozenset({"conf", "iou", "imgsz", "normalize", "decimals", "vid_stride", "source"}))
OF_DETECTORS = ("conf", "iou")

_TRUTHS = {"true": True, "1": True, "false": False, "0": False, "": False}


@dataclass(frozen=True, slots=True)
class UltralyticsOptions:
    """decimals: of positions and scores. is_normalized: positions are parts of the image's width and height."""

    options: Options
    given: tuple[str, ...]
    decimals: int
    is_normalized: bool


def wanted_in(fields: Mapping[str, str]) -> UltralyticsOptions:
    """Raises InvalidRequest that names the field, the limit and the value.

    `imgsz`, which the examples of the documents always send, is checked and has no effect: a network has one size
    here, for which it is compiled. Nor has `vid_stride`, as on the Platform for images.
    """
    if fields.get("source", "").strip():
        raise InvalidRequest(
            "source is not read; this server fetches nothing, and the image goes into the part 'file'"
        )
    _whole_number(fields, "imgsz", *IMGSZ_PX)
    _whole_number(fields, "vid_stride", 1, None)
    decimals = _whole_number(fields, "decimals", 0, MOST_DECIMALS)
    options = Options(
        score_threshold=share(number_in(fields.get("conf", ""), "conf"), "conf"),
        iou_threshold=share(number_in(fields.get("iou", ""), "iou"), "iou"),
    )
    given = tuple(name for name in OF_DETECTORS if fields.get(name, "").strip())
    return UltralyticsOptions(options, given, DECIMALS if decimals is None else decimals, _truth(fields, "normalize"))


def _whole_number(fields: Mapping[str, str], name: str, least: int, most: int | None) -> int | None:
    number = whole_number_in(fields.get(name, ""), name)
    if number is not None and (number < least or (most is not None and number > most)):
        bound = f"at least {least}" if most is None else f"between {least} and {most}"
        raise InvalidRequest(f"{name} must be {bound}, got {short_number(number)}")
    return number


def _truth(fields: Mapping[str, str], name: str) -> bool:
    text = fields.get(name, "").strip().lower()
    if text not in _TRUTHS:
        raise InvalidRequest(f"{name} must be true or false, got {text[:50]!r}")
    return _TRUTHS[text]
