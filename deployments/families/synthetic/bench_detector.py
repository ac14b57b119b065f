"""A detector of chosen cost, for load tests: a small convolutional network with random but repeatable weights.

Its boxes mean nothing, and its labels say so. Its work is real: letterbox to 640 x 640, convolutions, a bounded
list of candidates, NMS. `parameters: {width, depth}` set how long one image takes; `make bench` finds them for
the machine that it runs on. Keras is imported only when the graph is built.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from deployments.definition import ModelDefinition, Settings
from deployments.families.contract import Outputs, Prepared, Thresholds
from deployments.families.shared.definition_checks import check_canvas, checked_labels, read_parameters
from deployments.families.shared.detections import best_detections, rule_of
from deployments.families.shared.letterbox import Letterbox, letterbox
from deployments.prediction import Detections

CANVAS_PX = (640, 640)
_LABELS = ("random weights A", "random weights B")
_STRIDE_PX = 16
_SEED = 20

# Logits run from the map's own mean to its own maximum, so that any image, dull or lively, has some boxes
# above the usual threshold of 0.25, and most of its cells below, as with a trained detector.
_LOGIT_OF_MEAN = -6.0
_LOGIT_OF_MAXIMUM = 2.0


class BenchParameters(Settings):
    """The `parameters` of a bench detector in YAML."""

    width: int = Field(default=32, ge=4, le=256, strict=True)
    """Channels of the first layer."""

    depth: int = Field(default=8, ge=1, le=256, strict=True)
    """Blocks at stride 16."""


class BenchDetector:
    """A `Family`. Raises ModelUnavailable when labels, canvas or parameters do not fit."""

    def __init__(self, definition: ModelDefinition) -> None:
        self._parameters = read_parameters(definition, BenchParameters)
        self.labels: tuple[str, ...] = checked_labels(definition.family, definition.labels, _LABELS, len(_LABELS))
        self.canvas_px = definition.canvas_px or CANVAS_PX
        self.input_px = self.canvas_px
        check_canvas(self.canvas_px, _STRIDE_PX, definition.family)

    def preprocess(self, pixels: NDArray[np.uint8]) -> Prepared[Letterbox]:
        """Letterbox uint8 RGB (height, width, 3) onto the canvas; the geometry is a `Letterbox`."""
        return Prepared(*letterbox(pixels, self.canvas_px))

    def build_graph(self) -> Any:
        """The Keras model.

        Takes uint8 RGB (n, height, width, 3). Gives boxes float32 (n, k, 4) x1 y1 x2 y2 in canvas pixels, scores
        float32 (n, k), best first, and classes int32 (n, k).
        """
        return _network(self.canvas_px, self._parameters.width, self._parameters.depth)

    def postprocess(self, outputs: Outputs, geometry: Letterbox, thresholds: Thresholds) -> Detections:
        """One image's candidates thinned by NMS, in pixels of the client's image, best first."""
        return best_detections(outputs, rule_of(thresholds, self.labels), self.labels, geometry.to_image)


def _network(canvas_px: tuple[int, int], width: int, depth: int) -> Any:
    import keras
    from keras import layers, ops

    from deployments.families.shared.anchor_free import HeadMaps, decode

    seeds = iter(range(_SEED, _SEED + depth + 16))

    def convolution(maps: Any, filters: int, kernel: int, stride: int, activation: str | None = "silu") -> Any:
        weights = keras.initializers.HeNormal(seed=next(seeds))
        return layers.Conv2D(filters, kernel, stride, "same", activation=activation, kernel_initializer=weights)(maps)

    image = keras.Input((*canvas_px, 3), dtype="uint8")
    maps = ops.cast(image, "float32") / 255.0 - 0.5
    maps = convolution(maps, width, 4, 4)
    maps = convolution(maps, 2 * width, 3, 2)
    maps = convolution(maps, 2 * width, 3, 2)
    for _ in range(depth):
        # The halving keeps a tall pile of blocks from growing without bound.
        maps = 0.5 * (maps + convolution(maps, 2 * width, 3, 1))
    logits = convolution(maps, len(_LABELS), 1, 1, None)
    mean = ops.mean(logits, axis=(1, 2), keepdims=True)
    reach = ops.max(logits, axis=(1, 2), keepdims=True) - mean + 1e-6
    logits = _LOGIT_OF_MEAN + (_LOGIT_OF_MAXIMUM - _LOGIT_OF_MEAN) * (logits - mean) / reach
    distances = 0.5 + 3.0 * ops.sigmoid(convolution(maps, 4, 1, 1, None))
    return keras.Model(image, decode([HeadMaps(distances, logits, _STRIDE_PX)]))
