"""A detector of chosen cost, for load tests: a small convolutional network with random but repeatable weights.

Its boxes mean nothing, and its labels say so. Its work is real: letterbox to 640 x 640, convolutions, a bounded
list of candidates, NMS. `parameters: {width, depth}` set how long one image takes; `make bench` finds them for
the machine that it runs on. Keras is imported only when the graph is built; knows no Ray and no door.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from deployments.definition import ModelDefinition
from deployments.errors import ModelUnavailable
from deployments.families.contract import Outputs, Prepared, Thresholds
from deployments.families.shared.detections import detections_of, have_area, rule_of
from deployments.families.shared.letterbox import Letterbox, letterbox
from deployments.families.shared.nms import suppress
from deployments.prediction import Detections

CANVAS_PX = (640, 640)
DEFAULTS = {"width": 32, "depth": 8}
LIMITS = {"width": (4, 256), "depth": (1, 256)}
_LABELS = ("random weights A", "random weights B")
_STRIDE_PX = 16
_SEED = 20

# Logits run from the map's own mean to its own maximum, so that any picture, dull or lively, has some boxes
# above the usual threshold of 0.25, and most of its cells below, as with a trained detector.
_LOGIT_OF_MEAN = -6.0
_LOGIT_OF_MAXIMUM = 2.0


class BenchDetector:
    """A `Family`. parameters: width, channels of the first layer; depth, blocks at stride 16."""

    def __init__(self, definition: ModelDefinition) -> None:
        self._sizes = {**DEFAULTS, **_whole_numbers(definition)}
        self.labels: tuple[str, ...] = definition.labels or _LABELS
        if len(self.labels) != len(_LABELS):
            raise ModelUnavailable(f"bench-detector has {len(_LABELS)} classes, got {len(self.labels)} labels")
        self.canvas_px = definition.canvas_px or CANVAS_PX
        if any(side <= 0 or side % _STRIDE_PX for side in self.canvas_px):
            raise ModelUnavailable(f"canvas_px {self.canvas_px} must be multiples of {_STRIDE_PX}")

    def preprocess(self, pixels: NDArray[np.uint8]) -> Prepared:
        """Letterbox uint8 RGB (H, W, 3) to the canvas; the geometry is a `Letterbox`."""
        canvas, geometry = letterbox(pixels, self.canvas_px)
        return Prepared(canvas, geometry)

    def build_graph(self) -> Any:
        """Input uint8 RGB (N, h, w, 3). Outputs as `anchor_free.decode` gives them: boxes float32 (N, K, 4) in
        canvas pixels, scores float32 (N, K), classes int32 (N, K)."""
        return _network(self.canvas_px, self._sizes["width"], self._sizes["depth"])

    def postprocess(self, outputs: Outputs, geometry: Letterbox, thresholds: Thresholds) -> Detections:
        """One image's candidates thinned by NMS and mapped to the asker's pixels, best first."""
        boxes, scores, classes = outputs
        rule = rule_of(thresholds, self.labels)
        kept = suppress(boxes, scores, classes, rule)
        found = geometry.to_image(boxes[kept])
        real = have_area(found)
        kept = kept[real]
        return detections_of(found[real], scores[kept], classes[kept], self.labels)


def _whole_numbers(definition: ModelDefinition) -> dict[str, int]:
    unknown = set(definition.parameters) - set(DEFAULTS)
    if unknown:
        raise ModelUnavailable(
            f"unknown parameters of bench-detector: {', '.join(sorted(unknown))}; known: {', '.join(DEFAULTS)}"
        )
    for name, value in definition.parameters.items():
        low, high = LIMITS[name]
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise ModelUnavailable(
                f"parameters.{name} of bench-detector must be a whole number from {low} to {high}, got {value!r}"
            )
    return {name: int(value) for name, value in definition.parameters.items()}


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
