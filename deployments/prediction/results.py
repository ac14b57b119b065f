"""The kinds of answers."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from deployments.prediction.masks import Masks
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

    What only some models find, else None:
    masks: the pixels of each object.
    keypoints: float32 (n, points, 3), x and y in pixels of the client's image, and how sure it is that the point is
        seen, 0 to 1.
    corners: float32 (n, 4, 2), x y of a rotated box, in turn; `boxes` holds the upright boxes around them.
    """

    what: ClassVar[str] = "boxes"

    boxes: NDArray[np.float32]
    scores: NDArray[np.float32]
    class_ids: NDArray[np.int32]
    labels: tuple[str, ...]
    masks: Masks | None = None
    keypoints: NDArray[np.float32] | None = None
    corners: NDArray[np.float32] | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def __iter__(self) -> Iterator[Detection]:
        rows = zip(self.labels, self.scores.tolist(), self.boxes.tolist(), strict=True)
        for label, score, (x1, y1, x2, y2) in rows:
            yield Detection(label, score, (x1, y1, x2, y2))

    def picked(self, indices: NDArray[np.intp]) -> Self:
        """Some of them, in this order, with all that belongs to them."""
        return type(self)(
            boxes=self.boxes[indices],
            scores=self.scores[indices],
            class_ids=self.class_ids[indices],
            labels=tuple(self.labels[index] for index in indices),
            masks=None if self.masks is None else self.masks.picked(indices),
            keypoints=None if self.keypoints is None else self.keypoints[indices],
            corners=None if self.corners is None else self.corners[indices],
        )


@dataclass(frozen=True, slots=True)
class ClassScores:
    """The answer of a classifier. scores: float32 (n,).  labels: n names, same order."""

    what: ClassVar[str] = "class scores"

    scores: NDArray[np.float32]
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Embedding:
    """The answer of a model that describes an image by numbers, for search and clustering. values: float32 (d,)."""

    what: ClassVar[str] = "an embedding"

    values: NDArray[np.float32]


Result = Detections | ClassScores | Embedding
"""`what` names each kind in messages."""
