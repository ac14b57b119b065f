"""The family of `benthic-demo`: a small detector, trained on drawings, for trying the system.

Keras is imported only when the graph is built. See `MODEL_CARD.md`.
"""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deployments.definition import ModelDefinition
from deployments.families.contract import Outputs, Prepared, Thresholds
from deployments.families.demo import weights_file
from deployments.families.shared.definition_checks import (
    NoParameters,
    check_canvas,
    checked_labels,
    read_parameters,
)
from deployments.families.shared.detections import best_detections, rule_of
from deployments.families.shared.letterbox import Letterbox, letterbox
from deployments.prediction import Detections

CANVAS_PX = (384, 640)
"""Height and width of the input the weights are trained for."""

SHIPPED_WEIGHTS = Path(__file__).parent / "benthic-demo.npz"
"""The weights in the repository."""

_LARGEST_STRIDE_PX = 32


class BenthicDemo:
    """A `Family`: letterbox, an anchor-free graph, NMS within each class.

    Raises ModelUnavailable when the weights cannot be read, when labels or canvas do not fit them, and for
    parameters: there are none.
    """

    def __init__(self, definition: ModelDefinition) -> None:
        path = definition.weights_path or SHIPPED_WEIGHTS
        read_parameters(definition, NoParameters)
        self._stored = weights_file.read(path)
        found = self._stored.labels
        self.labels: tuple[str, ...] = checked_labels(path.name, definition.labels, found, len(found))
        self.canvas_px: tuple[int, int] = definition.canvas_px or CANVAS_PX
        self.input_px = self.canvas_px
        check_canvas(self.canvas_px, _LARGEST_STRIDE_PX, path.name)

    def preprocess(self, pixels: NDArray[np.uint8]) -> Prepared[Letterbox]:
        """Letterbox uint8 RGB (height, width, 3) onto the canvas; the geometry is a `Letterbox`."""
        return Prepared(*letterbox(pixels, self.canvas_px))

    def build_graph(self) -> Any:
        """Build the Keras model with its weights.

        Takes uint8 RGB (n, height, width, 3). Gives boxes float32 (n, k, 4) x1 y1 x2 y2 in canvas pixels, scores
        float32 (n, k), best first, and classes int32 (n, k).
        """
        from deployments.families.demo.network import serving_network

        model = serving_network(self.canvas_px, len(self.labels))
        weights_file.load_into(model, self._stored)
        return model

    def postprocess(self, outputs: Outputs, geometry: Letterbox, thresholds: Thresholds) -> Detections:
        """Thin one image's candidates and map them to pixels of the client's image, best first.

        Class names of the request that this model lacks match nothing.
        """
        return best_detections(outputs, rule_of(thresholds, self.labels), self.labels, geometry.to_image)
