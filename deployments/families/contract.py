"""The contract between the serving core and a family of models, in one page.

A family knows one kind of checkpoint: how pixels become the network's input, the graph, and how the graph's
outputs become detections in the asker's pixels. It may not know Ray, batching, time or any door.

    pixels --preprocess--> Prepared --(batched by the core)--> graph --> outputs --postprocess--> Detections
"""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from deployments.prediction import ClassScores, Detections

Outputs = tuple[NDArray[Any], ...]
"""The graph's outputs for ONE image, without the batch axis."""


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Options of one request with the model's knobs filled in: run-time inputs, never compiled in."""

    score_threshold: float
    iou_threshold: float
    max_detections: int
    classes: tuple[str, ...] | None = None

    def class_ids(self, labels: tuple[str, ...]) -> tuple[int, ...] | None:
        """The ids, in `labels`, of the classes to keep; None for all. Names that are not there match nothing."""
        if self.classes is None:
            return None
        return tuple(index for index, label in enumerate(labels) if label in self.classes)


@dataclass(frozen=True, slots=True)
class Prepared:
    """One image, ready to be stacked into a batch.

    canvas: uint8 RGB, canvas height x canvas width x 3.  geometry: whatever the family's postprocessing needs
    to map canvas pixels back to image pixels.
    """

    canvas: NDArray[np.uint8]
    geometry: Any


class Family(Protocol):
    """One kind of checkpoint. Constructed with a ModelDefinition; raises ModelUnavailable when weights,
    labels and definition disagree, saying what was found and what was expected."""

    labels: tuple[str, ...]
    canvas_px: tuple[int, int]

    def preprocess(self, pixels: NDArray[np.uint8]) -> Prepared:
        """RGB uint8 (height, width, 3) to the network's input. Runs in a thread beside inference."""
        ...

    def build_graph(self) -> Any:
        """A callable program, weights loaded: uint8 RGB (n, height, width, 3) to a tuple of tensors with a
        leading batch axis. Called once, inside the replica, by the runtime."""
        ...

    def postprocess(self, outputs: Outputs, geometry: Any, thresholds: Thresholds) -> Detections | ClassScores:
        """One image's outputs to detections in pixels of the asker's image, best first. Runs in a thread."""
        ...
