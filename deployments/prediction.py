"""What a model answers, before a door writes it down in its own way."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deployments.errors import ServingError
from deployments.process.message import message


@dataclass(frozen=True, slots=True)
class Detection:
    """One object. box: x1, y1, x2, y2 in pixels of the client's image, x1 <= x2 and y1 <= y2."""

    label: str
    score: float
    box: tuple[float, float, float, float]


@message
@dataclass(frozen=True, slots=True)
class Detections:
    """All objects of one image, best score first.

    boxes: float32 (n, 4), x1 y1 x2 y2 in pixels of the client's image.  scores: float32 (n,), 0 to 1.
    class_ids: int32 (n,).  labels: n names. Arrays, since a tuple of objects is slow to pickle.
    """

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    class_ids: NDArray[np.int32]
    labels: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.labels)

    def __iter__(self) -> Iterator[Detection]:
        rows = zip(self.labels, self.scores.tolist(), self.boxes.tolist(), strict=True)
        for label, score, (x1, y1, x2, y2) in rows:
            yield Detection(label, score, (x1, y1, x2, y2))


@dataclass(frozen=True, slots=True)
class ClassScores:
    """The answer of a classifier. scores: float32 (n,).  labels: n names, same order."""

    scores: NDArray[np.float32]
    labels: tuple[str, ...]


@message
@dataclass(frozen=True, slots=True)
class Timings:
    """Where the time of one request went inside the replica, in seconds; batch_size in images."""

    decode_s: float = 0.0
    wait_s: float = 0.0
    inference_s: float = 0.0
    postprocess_s: float = 0.0
    batch_size: int = 1

    def stage_seconds(self) -> dict[str, float]:
        """Seconds by the name of the stage, as in metrics and in the header Server-Timing."""
        return {
            "decode": self.decode_s,
            "wait": self.wait_s,
            "inference": self.inference_s,
            "postprocess": self.postprocess_s,
        }


@message
@dataclass(frozen=True, slots=True)
class Prediction:
    """A model's answer for one image. image_size_px: height, width of the client's image."""

    result: Detections | ClassScores
    image_size_px: tuple[int, int]
    model: str
    revision: str
    timings: Timings = Timings()


@dataclass(frozen=True, slots=True)
class Opaque:
    """The answer of an external worker, handed through untouched. payload: the bytes it wrote."""

    payload: bytes
    model: str


Outcome = Prediction | Opaque | ServingError
"""What `predict` returns for each request, in the order of the requests; errors are values here."""


def outcome_code(outcome: Outcome) -> str:
    """The label of an outcome in metrics: 'ok', or the error's code."""
    return outcome.code if isinstance(outcome, ServingError) else "ok"
