"""A family without weights and without TensorFlow: it answers the same boxes for every image, after a delay.

For tests of everything around a model, for load tests of the path without a model, and for trying a cluster.
It is never a default and its labels say what it is.
"""

import time
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from deployments.definition import ModelDefinition, Settings
from deployments.families.contract import Outputs, Prepared, Thresholds
from deployments.families.shared.definition_checks import checked_labels, read_parameters
from deployments.prediction import Detections

_LABELS = ("fixed answer A", "fixed answer B")
_RELATIVE_BOXES = np.array([[0.1, 0.2, 0.5, 0.6], [0.5, 0.5, 0.9, 0.9]], np.float32)
_SCORES = np.array([0.9, 0.6], np.float32)


class FixedAnswerParameters(Settings):
    """The `parameters` of a fixed answer in YAML."""

    delay_ms: float = Field(default=0, ge=0)
    """How long one batch takes."""


class FixedAnswer:
    """A `Family`: two boxes at fixed fractions of the image.

    Raises ModelUnavailable for wrong parameters or labels.
    """

    def __init__(self, definition: ModelDefinition) -> None:
        self._delay_s = read_parameters(definition, FixedAnswerParameters).delay_ms / 1000
        self.labels: tuple[str, ...] = checked_labels(definition.family, definition.labels, _LABELS, len(_LABELS))
        self.canvas_px = definition.canvas_px or (8, 8)
        self.input_px = self.canvas_px

    def preprocess(self, pixels: NDArray[np.uint8]) -> Prepared[tuple[int, int]]:
        """An empty canvas; the geometry is the image's height and width."""
        return Prepared(np.zeros((*self.canvas_px, 3), np.uint8), (pixels.shape[0], pixels.shape[1]))

    def build_graph(self) -> Any:
        """A plain function from a batch to boxes, scores and classes."""

        def answer(batch: NDArray[np.uint8]) -> tuple[NDArray[Any], ...]:
            time.sleep(self._delay_s)
            count = len(batch)
            classes = np.arange(len(_SCORES), dtype=np.int32)
            return tuple(np.repeat(rows[None], count, axis=0) for rows in (_RELATIVE_BOXES, _SCORES, classes))

        return answer

    def postprocess(self, outputs: Outputs, geometry: tuple[int, int], thresholds: Thresholds) -> Detections:
        """The boxes scaled to the image, filtered by score, class and number."""
        boxes, scores, classes = outputs
        height, width = geometry
        floors = np.broadcast_to(thresholds.score_threshold, len(self.labels))
        keep = [
            index
            for index in np.flatnonzero(scores >= floors[classes])
            if thresholds.classes is None or self.labels[classes[index]] in thresholds.classes
        ][: thresholds.max_detections]
        scale = np.array([width, height, width, height], np.float32)
        labels = tuple(self.labels[index] for index in classes[keep])
        return Detections(boxes[keep] * scale, scores[keep], classes[keep].astype(np.int32), labels)
