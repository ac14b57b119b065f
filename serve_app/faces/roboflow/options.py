"""Roboflow's options in the words of this server. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from deployments.errors import InvalidRequest
from deployments.request import Options
from deployments.text.nearest_name import nearest_of
from serve_app.bodies.option_values import (
    json_labels,
    json_number,
    json_whole_number,
    number_in,
    share,
    shown,
    whole_number_in,
)

MASK_FORMATS = ("polygon", "rle")

_PREPROCESSING = frozenset(
    f"disable_preproc_{step}" for step in ("auto_orient", "contrast", "grayscale", "static_crop")
)
"""Steps that roboflow's training of a dataset adds. Here there are none, so that they are always off."""

_BILLING = frozenset({"api_key", "countinference", "service_secret", "source", "source_info", "source_info_origin"})
"""Who pays, and who asked: of no effect on an answer. A key counts only as `serve_app.access` takes it."""

_LEARNING = frozenset({"active_learning_target_dataset", "disable_active_learning"})
"""Whether roboflow may keep the image for its training. This server keeps none."""

UNUSED = _PREPROCESSING | _BILLING | _LEARNING | {"allow_reduced_mask_resolution"}
"""What the SDK sends, some of it always, and what changes nothing here. Masks are on the grid of the image anyhow."""

_FOR_DETECTORS = frozenset({"confidence", "max_detections", "response_mask_format"})
IN_QUERY = UNUSED | _FOR_DETECTORS | {"overlap", "format"}
"""Parameters of v0."""

IN_JSON = UNUSED | _FOR_DETECTORS | {"iou_threshold", "class_filter", "visualize_predictions"}
"""Members of v1 beside the model and the image."""

IN_QUERY_OF_JSON = _BILLING
"""Parameters of v1."""


@dataclass(frozen=True, slots=True)
class RoboflowOptions:
    """given: the options among them that only detectors have a use for, by roboflow's names. as_rle: masks as run
    lengths and not as outlines."""

    options: Options
    given: tuple[str, ...]
    as_rle: bool


def from_query(fields: Mapping[str, str]) -> RoboflowOptions:
    """Of v0, where a number of 1 or more is a percentage, as it is for roboflow. Raises InvalidRequest."""
    if (written := fields.get("format", "json")) != "json":
        raise InvalidRequest(f"format must be json; pictures are among the formats of /v1, got {written[:50]!r}")
    confidence = fields.get("confidence", "")
    wanted = Options(
        score_threshold=_share_or_percent("" if confidence == "default" else confidence, "confidence"),
        iou_threshold=_share_or_percent(fields.get("overlap", ""), "overlap"),
        max_detections=whole_number_in(fields.get("max_detections", ""), "max_detections"),
    )
    return _wanted(wanted, fields, ("confidence", "overlap", "max_detections", "response_mask_format"))


def from_members(members: Mapping[str, Any]) -> RoboflowOptions:
    """Of v1; a member that is null counts as missing. Raises InvalidRequest."""
    said = {name: value for name, value in members.items() if value is not None}
    if said.get("visualize_predictions", False) is not False:
        raise InvalidRequest("visualize_predictions must be false; pictures are among the formats of /v1")
    if said.get("confidence") == "default":
        del said["confidence"]
    wanted = Options(
        score_threshold=_share_in(said, "confidence"),
        iou_threshold=_share_in(said, "iou_threshold"),
    )
    if "max_detections" in said:
        wanted = replace(wanted, max_detections=json_whole_number(said["max_detections"], "max_detections"))
    if "class_filter" in said:
        wanted = replace(wanted, classes=json_labels(said["class_filter"], "class_filter"))
    names = ("confidence", "iou_threshold", "max_detections", "class_filter", "response_mask_format")
    return _wanted(wanted, said, names)


def refuse_unknown(names: Iterable[str], known: frozenset[str]) -> None:
    """Raises InvalidRequest for a member that has no meaning here, with the nearest that has one."""
    for name in names:
        if name not in known:
            raise InvalidRequest(f"unknown member {name[:100]!r}; {nearest_of(name, known - UNUSED)}")


def _wanted(options: Options, said: Mapping[str, Any], of_detectors: Iterable[str]) -> RoboflowOptions:
    masks = said.get("response_mask_format", MASK_FORMATS[0])
    if masks not in MASK_FORMATS:
        raise InvalidRequest(f"response_mask_format must be polygon or rle, got {shown(masks)}")
    return RoboflowOptions(options, tuple(name for name in of_detectors if name in said), masks == "rle")


def _share_or_percent(text: str, name: str) -> float | None:
    number = number_in(text, name)
    if number is not None and number >= 1:
        if number > 100:
            raise InvalidRequest(f"{name} must be 0 to 1, or a percentage from 1 to 100, got {number}")
        return number / 100
    return share(number, name)


def _share_in(said: Mapping[str, Any], name: str) -> float | None:
    return share(json_number(said[name], name), name) if name in said else None
