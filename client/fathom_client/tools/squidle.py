"""A bot for SQUIDLE+ (extra `squidle`); `fathom squidle` is its command.

SQUIDLE+ has points on images, with `x` and `y` as parts of the width and height, or without where the label is of the
whole image. A detector suggests for a point the best animal that it lies on; a classifier looks at the square around
it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import requests
from sqapi.annotate import Annotator
from sqapi.media import SQMediaObject
from sqapi.request import SQAPIException

from fathom_client.answers import Detection, Prediction
from fathom_client.client import Client
from fathom_client.errors import (
    DeadlineExceeded,
    FathomError,
    InvalidImage,
    ModelCrashed,
    Overloaded,
    ServerNotReachable,
    UnusableImage,
    WrongKindOfAnswer,
)

CONCERNS_ONE = (UnusableImage, InvalidImage, Overloaded, DeadlineExceeded, ModelCrashed)
"""Errors of one image, after which the others are still worth asking for."""

NOTHING = (None, 0.0)


@dataclass(frozen=True)
class Asked:
    """What is asked of the server. patch_px: the side of the square that a classifier sees of a point."""

    model: str
    patch_px: int
    options: Mapping[str, Any]


class Bot(Annotator):  # type: ignore[misc] # it has no types
    """tell: gets a line for each image that failed. told: what sqapi's Annotator takes."""

    def __init__(self, client: Client, asked: Asked, tell: Callable[[str], None], **told: Any) -> None:
        super().__init__(**told)
        self.failed: set[Any] = set()
        self._client = client
        self._asked = asked
        self.tell = tell
        self._of_whole: tuple[Any, Prediction | None] = (None, None)

    def classify_point(self, mediaobj: SQMediaObject, x: float, y: float, t: Any) -> tuple[str | None, float]:
        """The label for a point and how likely it is; (None, 0) for none."""
        whole = self._whole(mediaobj)
        if whole is None:
            return NOTHING
        if whole.kind == "classes":
            patch = self._predicted(mediaobj, lambda pixels: _patch(pixels, x, y, self._asked.patch_px))
            return NOTHING if patch is None else self._best_class(patch)
        place = (x * (whole.width or 0), y * (whole.height or 0))
        return self._best([one for one in whole.detections if _lies_on(one, *place)])

    def classify_frame(self, mediaobj: SQMediaObject, t: Any) -> tuple[str | None, float]:
        """The label for the whole image; of a detector the best animal in it."""
        whole = self._whole(mediaobj)
        if whole is None:
            return NOTHING
        return self._best_class(whole) if whole.kind == "classes" else self._best(list(whole.detections))

    def detect_points(self, mediaobj: SQMediaObject) -> list[Any]:
        """None: points that a bot adds would be there twice after a second run."""
        return []

    def _whole(self, media: SQMediaObject) -> Prediction | None:
        """The answer for the whole image, asked once for all of its points; None where it failed."""
        known, prediction = self._of_whole
        if known != media.id:
            prediction = self._predicted(media, lambda pixels: pixels)
            self._of_whole = (media.id, prediction)
        return prediction

    def _predicted(self, media: SQMediaObject, part: Callable[[Any], Any]) -> Prediction | None:
        try:
            prediction = self._client.predict(part(_pixels(media)), self._asked.model, **self._asked.options)
        except CONCERNS_ONE as error:
            self.tell(f"media {media.id}: {error}")
            self.failed.add(media.id)
            return None
        if prediction.kind not in ("detections", "classes"):
            raise WrongKindOfAnswer(f"{prediction.model} answers with '{prediction.kind}', which has no labels")
        return prediction

    def _best(self, found: list[Detection]) -> tuple[str | None, float]:
        """They come best first. Labels that the map does not have are passed over."""
        return next(((one.label, one.score) for one in found if one.label in self.code2label), NOTHING)

    def _best_class(self, prediction: Prediction) -> tuple[str | None, float]:
        [best] = prediction.classes[:1]
        return (best.label, best.score) if best.label in self.code2label else NOTHING


def annotate(bot: Bot, annotation_set: int, again: bool) -> Mapping[str, int] | None:
    """How many media, points and annotations there were; None where this bot has been here before. Raises FathomError
    for what SQUIDLE+ refuses."""
    found = _sets(bot, id=annotation_set)
    if not found:
        raise FathomError(f"annotation set {annotation_set} is not there, or not for this user")
    if not again and _sets(bot, parent_id=annotation_set, name=bot.annotator_info["name"]):
        return None
    try:
        counts: Mapping[str, int] = bot.process_annotation_set(found[0])
    except BaseException:
        bot.tell("this run did not come to its end: its suggestions are not complete, and another one needs --again")
        raise
    return counts


@contextmanager
def in_our_words(host: str) -> Iterator[None]:
    """Turns what sqapi raises into errors of this package."""
    try:
        yield
    except SQAPIException as error:
        raise FathomError(str(error)) from error
    except (requests.ConnectionError, requests.Timeout) as error:
        raise ServerNotReachable(f"{host} cannot be reached: {error}") from error
    except requests.RequestException as error:
        raise FathomError(f"{host} does not answer as SQUIDLE+ does: {error}") from error


def _sets(bot: Bot, **values: Any) -> list[Any]:
    query = bot.sqapi.get("/api/annotation_set")
    for name, value in values.items():
        query.filter(name=name, op="eq", val=value)
    found: list[Any] = query.execute().json().get("objects") or []
    return found


def _pixels(media: SQMediaObject) -> Any:
    """RGB; sqapi has them as OpenCV reads them. Raises UnusableImage."""
    try:
        return media.data()[:, :, ::-1]
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise UnusableImage(f"{media.url} cannot be read as an image: {error}") from error


def _patch(pixels: Any, x: float, y: float, side_px: int) -> Any:
    """The square around a point, moved into the image where it would reach out of it."""
    height, width = pixels.shape[:2]
    left = min(max(int(x * width) - side_px // 2, 0), max(width - side_px, 0))
    top = min(max(int(y * height) - side_px // 2, 0), max(height - side_px, 0))
    return pixels[top : top + side_px, left : left + side_px]


def _lies_on(one: Detection, x: float, y: float) -> bool:
    """On its mask where it has one, else in its box."""
    if not (one.box.x1 <= x <= one.box.x2 and one.box.y1 <= y <= one.box.y2):
        return False
    if len(one.polygon) < 3:
        return True
    inside = False
    corners = one.polygon
    for (x1, y1), (x2, y2) in zip(corners, (*corners[1:], corners[0]), strict=True):
        if (y1 > y) != (y2 > y) and x < (x2 - x1) * (y - y1) / (y2 - y1) + x1:
            inside = not inside
    return inside
