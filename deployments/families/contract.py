"""The contract between the serving core and a family of models, in one page.

A family handles one kind of checkpoint: how pixels become the network's input, the graph, and how the graph's outputs
become an answer, mostly detections in pixels of the client's image. Batching, time, Ray and the doors are the
business of others.

    pixels --preprocess--> Prepared --(batched by the core)--> graph --> outputs --postprocess--> Result
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from deployments.classes.score_threshold import DEFAULT, OTHER_CLASSES
from deployments.prediction import Result

Outputs = tuple[NDArray[Any], ...]
"""The graph's outputs for ONE image, without the batch axis."""

GeometryT = TypeVar("GeometryT")
"""What a family's postprocessing needs to map canvas pixels back to image pixels."""


def score_floors(
    labels: tuple[str, ...], *thresholds: float | Mapping[str, float] | None
) -> float | NDArray[np.float32]:
    """What counts for a model with these labels: the first of `thresholds` that says something of a class.

    One number where the first is one, else float32 (classes,) in the order of `labels`.
    """
    given = [one for one in thresholds if one is not None]
    first = given[0] if given else DEFAULT
    if not isinstance(first, Mapping):
        return first
    floors = np.full(len(labels), DEFAULT, np.float32)
    for threshold in reversed(given):
        if not isinstance(threshold, Mapping):
            floors[:] = threshold
            continue
        floors[:] = threshold.get(OTHER_CLASSES, floors)
        for index, label in enumerate(labels):
            floors[index] = threshold.get(label, floors[index])
    return floors


@dataclass(frozen=True, slots=True)
class Thresholds:
    """The options of one request, or the model's knobs where it gives none. Run-time inputs, never compiled in."""

    score_threshold: float | NDArray[np.float32]
    """Detections at or below this score are dropped. An array where classes have thresholds of their own, (classes,)
    in the order of the labels."""

    iou_threshold: float
    """Of two boxes that overlap more than this, the better is kept."""

    max_detections: int
    """The largest number of detections."""

    classes: tuple[str, ...] | None = None
    """Labels of the classes to keep; None for all."""

    @property
    def lowest_score(self) -> float:
        """Whatever scores at or below this is dropped, of any class."""
        return float(np.min(self.score_threshold))

    def class_ids(self, labels: tuple[str, ...]) -> tuple[int, ...] | None:
        """The indices, in `labels`, of the classes to keep; None for all. Unknown names match nothing."""
        if self.classes is None:
            return None
        return tuple(index for index, label in enumerate(labels) if label in self.classes)


@dataclass(frozen=True, slots=True)
class Prepared(Generic[GeometryT]):
    """One image, ready to be stacked into a batch."""

    canvas: NDArray[np.uint8]
    """uint8 RGB (canvas height, canvas width, 3)."""

    geometry: GeometryT
    """Goes to `postprocess` as it is."""


class Family(Protocol[GeometryT]):
    """One kind of checkpoint.

    Made from a ModelDefinition. Raises ModelUnavailable, with what was found and what was expected, when weights,
    labels and definition disagree.
    """

    labels: tuple[str, ...]
    """The class names, in the order of the network's classes."""

    @property
    def canvas_px(self) -> tuple[int, int]:
        """Height and width of the canvas for which the graph is compiled beforehand."""
        ...

    @property
    def input_px(self) -> tuple[int, int]:
        """Height and width of the network's input, which a tile has where nobody says otherwise. A canvas may have
        more rows, with what the network must know beside the pixels."""
        ...

    def preprocess(self, pixels: NDArray[np.uint8]) -> Prepared[GeometryT]:
        """uint8 RGB (height, width, 3) to the network's input. Runs in a thread beside inference."""
        ...

    def build_graph(self) -> Any:
        """The program with its weights, as the family's runtime takes it; called once, inside the replica.

        For the runtime `tensorflow`: a callable from uint8 RGB (n, height, width, 3) to a tuple of tensors (n, ...).
        """
        ...

    def postprocess(self, outputs: Outputs, geometry: GeometryT, thresholds: Thresholds) -> Result:
        """One image's outputs to its answer; detections best first, in pixels of the client's image. Runs in a
        thread."""
        ...
