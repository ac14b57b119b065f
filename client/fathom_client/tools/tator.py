"""From media of Tator to localizations in it (extra `tator`); `fathom tator` is its command.

Running it again writes nothing twice: each box has an elemental id made of its place and of who found it, and those
that Tator has, deleted ones too, are left alone. Source of the shapes: cvisionai/tator, `api/main/schema/`.
"""

from __future__ import annotations

import json
import tempfile
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests
import tator
import yaml
from requests.adapters import HTTPAdapter
from tator.exceptions import ApiException

from fathom_client.answers import Box, Prediction
from fathom_client.client import Client
from fathom_client.errors import (
    FathomError,
    InvalidRequest,
    ModelNotFound,
    NotAllowed,
    ServerNotReachable,
    UnusableImage,
)

MOST_AT_ONCE = 500
"""Localizations that Tator takes in one request."""

OPERATIONS = ("get_localization_type", "get_media", "get_frame", "get_localization_list", "create_localization_list")

PAGE = 1000
CONCURRENCY = 4
OURS = uuid.UUID("1c7a3a0e-52b6-5c0f-9a39-6d2a0ad0c1f5")
"""The namespace of our elemental ids."""

CONCERNS_ALL = (InvalidRequest, ModelNotFound, NotAllowed, ServerNotReachable)


@dataclass(frozen=True)
class Task:
    """What is to be written, and where. every: of a video, one frame in so many. version: None for the user's default
    one. score_attribute: None where scores are not written."""

    model: str
    project: int
    type: int
    version: int | None
    every: int
    label_attribute: str
    score_attribute: str | None
    options: Mapping[str, Any]


@dataclass
class Count:
    """What became of one medium."""

    written: int = 0
    frames_left_alone: int = 0
    frames_failed: int = 0


class _Patient(HTTPAdapter):  # type: ignore[misc, unused-ignore] # where requests has no types
    """Waits for an answer so long and no longer: tator-py itself would for ever."""

    def __init__(self, patience_s: float) -> None:
        super().__init__()
        self._patience_s = patience_s

    def send(self, request: Any, *more: Any, **named: Any) -> Any:
        """As HTTPAdapter does."""
        return super().send(request, *more, **{**named, "timeout": self._patience_s})


class Tator:
    """One Tator. patience_s: how long it may be silent. Raises ServerNotReachable where it is not, and FathomError
    for what it refuses."""

    def __init__(self, host: str, token: str, patience_s: float) -> None:
        self._host = host
        try:
            # It reads from the server which operations there are.
            self._api = self._ask(lambda: tator.get_api(host, token))
        except (yaml.YAMLError, AttributeError) as error:
            raise FathomError(f"{host} does not answer as Tator does: {error}") from error
        for scheme in ("https://", "http://"):
            self._api.session.mount(scheme, _Patient(patience_s))
        if lacking := [name for name in OPERATIONS if not hasattr(self._api, name)]:
            raise FathomError(f"{host} does not answer as Tator does: it has no operation {lacking[0]}")

    def check(self, task: Task) -> None:
        """Raises ValueError where the localization type takes no such boxes."""
        kind = self._ask(lambda: self._api.get_localization_type(task.type))
        if kind.dtype != "box":
            raise ValueError(f"localization type {task.type} ({kind.name}) has the shape {kind.dtype}, and not box")
        known = [one.name for one in kind.attribute_types or ()]
        for attribute in (task.label_attribute, task.score_attribute):
            if attribute is not None and attribute not in known:
                there = ", ".join(known) or "none"
                raise ValueError(f"localization type {task.type} has no attribute {attribute!r}; it has {there}")

    def frames(self, medium: int, every: int) -> tuple[range, Callable[[int], bytes]]:
        """The frames to look at, and what fetches one of them as an image file."""
        media = self._ask(lambda: self._api.get_media(medium))
        files = media.media_files
        if files is not None and files.image:
            return range(1), lambda frame: self._image(media)
        if files is None or not (files.streaming or files.archival) or not media.num_frames:
            raise FathomError(f"media {medium} ({media.name}) is neither an image nor a video with frames")
        return range(0, int(media.num_frames), every), lambda frame: self._frame(medium, frame)

    def elemental_ids(self, task: Task, medium: int) -> set[str]:
        """Of all localizations of this type, deleted ones too."""
        found: set[str] = set()
        query: dict[str, Any] = {"media_id": [medium], "type": task.type, "show_deleted": 1, "start": 0, "stop": PAGE}
        if task.version is not None:
            query["version"] = [task.version]
        while True:
            page = self._ask(lambda: self._api.get_localization_list(task.project, **query))
            found.update(one.elemental_id for one in page if one.elemental_id)
            if len(page) < PAGE:
                return found
            query["after"] = page[-1].id

    def write(self, task: Task, localizations: Sequence[Mapping[str, Any]]) -> None:
        """The first one last, as it stands for all of its frame."""
        for start in reversed(range(0, len(localizations), MOST_AT_ONCE)):
            some = list(localizations[start : start + MOST_AT_ONCE])
            self._ask(lambda: self._api.create_localization_list(task.project, body=some))  # noqa: B023

    def _image(self, media: Any) -> bytes:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "image"
            # It tells of an error in its log, and leaves no file.
            self._ask(
                lambda: [None for _ in tator.util.download_media(self._api, media, str(path), media_type="image")]
            )
            if not path.exists():
                raise UnusableImage(f"the image of media {media.id} could not be downloaded")
            return path.read_bytes()

    def _frame(self, medium: int, frame: int) -> bytes:
        path = Path(self._ask(lambda: self._api.get_frame(medium, frames=[frame])))
        try:
            return path.read_bytes()
        finally:
            path.unlink()

    def _ask(self, question: Callable[[], Any]) -> Any:
        host = self._host
        try:
            return question()
        except ApiException as error:
            raise FathomError(f"{host} refuses: {error}") from error
        except (requests.ConnectionError, requests.Timeout) as error:
            raise ServerNotReachable(f"{host} cannot be reached: {error}") from error
        except requests.RequestException as error:
            raise FathomError(f"{host} does not answer as Tator does: {error}") from error


def annotate(client: Client, there: Tator, task: Task, medium: int, put: Callable[[Any], None]) -> Count:
    """Looks at all frames of a medium that this model has not written to, and hands their localizations to `put`, a
    list for each frame. Raises FathomError where the medium cannot be read, and what concerns all media."""
    frames, fetch = there.frames(medium, task.every)
    known = there.elemental_ids(task, medium)
    model = client.model(task.model)
    todo = [at for at in frames if _elemental_id(task, medium, at, (model.name, model.revision), 0) not in known]
    count = Count(frames_left_alone=len(frames) - len(todo))
    outcomes = client.outcomes((fetch(at) for at in todo), task.model, CONCURRENCY, **task.options)
    for at, outcome in zip(todo, outcomes, strict=True):
        if outcome.prediction is None:
            if isinstance(outcome.error, CONCERNS_ALL):
                raise outcome.error
            count.frames_failed += 1
            continue
        new = [one for one in localizations(task, medium, at, outcome.prediction) if one["elemental_id"] not in known]
        if new:
            put(new)
        count.written += len(new)
    return count


def localizations(task: Task, medium: int, frame: int, prediction: Prediction) -> Iterator[dict[str, Any]]:
    """The boxes of one frame, as parts of its width and height. Raises WrongKindOfAnswer for a model without any."""
    found, width, height = prediction.detections, prediction.width or 1, prediction.height or 1
    for number, one in enumerate(found):
        x1, y1, x2, y2 = _parts(one.box, width, height)
        attributes: dict[str, Any] = {task.label_attribute: one.label}
        if task.score_attribute is not None:
            attributes[task.score_attribute] = one.score
        who = (prediction.model, prediction.revision)
        localization = {
            "media_id": medium,
            "type": task.type,
            "frame": frame,
            "x": x1,
            "y": y1,
            "width": x2 - x1,
            "height": y2 - y1,
            "attributes": attributes,
            "elemental_id": _elemental_id(task, medium, frame, who, number),
        }
        yield localization if task.version is None else {**localization, "version": task.version}


def _parts(box: Box, width: int, height: int) -> tuple[float, float, float, float]:
    sides = (box.x1 / width, box.y1 / height, box.x2 / width, box.y2 / height)
    x1, y1, x2, y2 = (min(max(side, 0.0), 1.0) for side in sides)
    return x1, y1, x2, y2


def _elemental_id(task: Task, medium: int, frame: int, who: tuple[str, str | None], number: int) -> str:
    place = [task.project, task.type, task.version, medium, frame, *who, number]
    return str(uuid.uuid5(OURS, json.dumps(place)))


def numbers_in(text: str | None) -> list[int]:
    """Of a list with commas, as Tator names media. Raises ValueError."""
    return [int(one) for one in (text or "").split(",") if one.strip()]


def host_in(service: str | None) -> str | None:
    """The address of Tator in TATOR_API_SERVICE, which names its REST service below it."""
    return service.rstrip("/").removesuffix("/rest") if service else None
