"""One image to its answer by our own decoding, family and runtime, in one process and without any server.

The limit, the hand-written server, plain Ray Serve and the legacy worker all use it, so that what they differ in
is how they serve. Knows no socket.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deployments.definition import ModelDefinition, ModelKnobs
from deployments.families import FAMILIES, load_family
from deployments.families.contract import Outputs, Thresholds, score_floors
from deployments.images import to_pixels
from deployments.legacy_answer import legacy_rows
from deployments.prediction import Prediction
from deployments.request import Image
from deployments.runtimes import Resources, batch_sizes_up_to, load_runtime

Rows = list[Any]
"""Detections as legacy clients read them."""


@dataclass(frozen=True, slots=True)
class Ready:
    """One image that is ready for inference. geometry: the family's own."""

    canvas: NDArray[np.uint8]
    geometry: Any
    size_px: tuple[int, int]


class Pipeline:
    """A loaded model. cpu_threads: threads of one batch."""

    def __init__(self, definition: ModelDefinition, cpu_threads: int = 1) -> None:
        knobs = ModelKnobs()
        self._family = load_family(definition)
        score_threshold = score_floors(self._family.labels, knobs.score_threshold)
        self._thresholds = Thresholds(score_threshold, knobs.iou_threshold, knobs.max_detections)
        self._runtime = load_runtime(FAMILIES[definition.family].runtime, Resources(cpu_threads))
        self._runtime.load(self._family, batch_sizes_up_to(definition.largest_batch))

    def prepare(self, encoded: bytes) -> Ready:
        """Decodes and preprocesses an image file."""
        return self.prepare_pixels(to_pixels(Image.from_encoded(encoded)))

    def prepare_pixels(self, pixels: NDArray[np.uint8]) -> Ready:
        """Preprocesses RGB uint8 pixels (height, width, 3)."""
        prepared = self._family.preprocess(pixels)
        return Ready(prepared.canvas, prepared.geometry, (pixels.shape[0], pixels.shape[1]))

    def infer(self, ready: Sequence[Ready]) -> list[Outputs]:
        """The graph's outputs for the images as one batch."""
        return self._runtime.infer([one.canvas for one in ready])

    def answer(self, ready: Sequence[Ready]) -> list[Rows]:
        """Infers the images as one batch, and finishes each."""
        outputs = self.infer(ready)
        return [self._rows(output, one) for output, one in zip(outputs, ready, strict=True)]

    def _rows(self, output: Outputs, ready: Ready) -> Rows:
        result = self._family.postprocess(output, ready.geometry, self._thresholds)
        return list(legacy_rows(Prediction(result, ready.size_px, "bench", "1")))
