"""What a model answers, as types; and how they are read from the server's JSON."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from fathom_client.errors import WrongKindOfAnswer
from fathom_client.masks import Mask

if TYPE_CHECKING:
    from typing import Self


class Box(NamedTuple):
    """Left, top, right, bottom in pixels of the image as it is stored."""

    x1: float
    y1: float
    x2: float
    y2: float


class Point(NamedTuple):
    """In pixels of the image."""

    x: float
    y: float


class Keypoint(NamedTuple):
    """x and y in pixels of the image; score, 0 to 1: how sure it is that the point is seen."""

    x: float
    y: float
    score: float


@dataclass(frozen=True, slots=True)
class Detection:
    """One object. score: 0 to 1. What only some models find is None or empty with all others: mask, the outline of
    its largest piece (polygon), keypoints, and the four corners of a rotated box, which `box` encloses."""

    label: str
    class_id: int
    score: float
    box: Box
    mask: Mask | None = None
    polygon: tuple[Point, ...] = ()
    keypoints: tuple[Keypoint, ...] = ()
    corners: tuple[Point, ...] = ()

    @classmethod
    def read(cls, members: Mapping[str, Any]) -> Self:
        """From the server's JSON. Raises KeyError, TypeError and ValueError."""
        box, mask = members["box"], members.get("mask")
        return cls(
            label=members["label"],
            class_id=members["class_id"],
            score=members["score"],
            box=Box(box["x1"], box["y1"], box["x2"], box["y2"]),
            mask=None if mask is None else Mask.read(mask),
            polygon=_points(members.get("polygon")),
            keypoints=tuple(Keypoint(one["x"], one["y"], one["score"]) for one in members.get("keypoints") or ()),
            corners=_points(members.get("corners")),
        )


@dataclass(frozen=True, slots=True)
class ClassScore:
    """One line of a classifier's answer. score: 0 to 1."""

    label: str
    class_id: int
    score: float


@dataclass(frozen=True, slots=True)
class Timings:
    """Where the time went inside the model's process, in seconds; batch_size in images."""

    decode_s: float = 0.0
    wait_s: float = 0.0
    inference_s: float = 0.0
    postprocess_s: float = 0.0
    batch_size: int = 1

    @classmethod
    def read(cls, members: Mapping[str, Any]) -> Self:
        """From the server's JSON; a member that is unknown is left out."""
        return cls(**{name: value for name, value in members.items() if name in cls.__dataclass_fields__})


@dataclass(frozen=True, slots=True)
class Prediction:
    """A model's answer for one image: `detections`, `classes`, `embedding` or, of an external worker, `answer`.
    Asking for another one than `kind` says raises WrongKindOfAnswer: an empty list would read as "nothing found".

    name: of the image file, if it has one. width, height: of the image, in pixels; None from an external worker.
    result: what `kind` names. raw: all of it as JSON, as the server wrote it.
    """

    name: str | None
    model: str
    revision: str | None
    licence: str | None
    width: int | None
    height: int | None
    timings: Timings | None
    kind: str
    result: Any = field(repr=False)
    raw: Mapping[str, Any] = field(repr=False, compare=False)

    @property
    def detections(self) -> tuple[Detection, ...]:
        """All objects, best score first."""
        return tuple(self._asked_for("detections"))

    @property
    def classes(self) -> tuple[ClassScore, ...]:
        """A classifier's scores, best first."""
        return tuple(self._asked_for("classes"))

    @property
    def embedding(self) -> tuple[float, ...]:
        """The image as numbers."""
        return tuple(self._asked_for("embedding"))

    @property
    def answer(self) -> Any:
        """An external worker's JSON."""
        return self._asked_for("answer")

    def _asked_for(self, kind: str) -> Any:
        if kind != self.kind:
            raise WrongKindOfAnswer(f"{self.model} does not answer with '{kind}' but with '{self.kind}'")
        return self.result

    @classmethod
    def read(cls, body: Mapping[str, Any], entry: Mapping[str, Any], name: str | None) -> Self:
        """From the server's JSON: the answer, and its entry for one image. Raises KeyError, TypeError, ValueError."""
        [kind] = (kind for kind in READERS if kind in entry)
        common = {member: body.get(member) for member in ("model", "revision", "licence")}
        timings = entry.get("timings")
        return cls(
            name=name,
            model=body["model"],
            revision=body.get("revision"),
            licence=body.get("licence"),
            width=entry.get("width"),
            height=entry.get("height"),
            timings=None if timings is None else Timings.read(timings),
            kind=kind,
            result=READERS[kind](entry[kind]),
            raw={**common, **entry, "name": name},
        )


READERS: Mapping[str, Callable[[Any], Any]] = {
    "detections": lambda rows: tuple(Detection.read(row) for row in rows),
    "classes": lambda rows: tuple(ClassScore(row["label"], row["class_id"], row["score"]) for row in rows),
    "embedding": lambda values: tuple(float(value) for value in values),
    "answer": lambda answer: answer,
}
"""How each kind of answer is read."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one image among many: a prediction, or the error in its place."""

    image: Any
    prediction: Prediction | None = None
    error: Exception | None = None


def _points(pairs: Sequence[Sequence[float]] | None) -> tuple[Point, ...]:
    return tuple(Point(x, y) for x, y in pairs or ())
