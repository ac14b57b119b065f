"""RetinaNet R50 from the `.h5` files of keras-retinanet 0.1, such as the FathomNet midwater detector.

Resizing, suppression and scaling are the reference's (fizyr/keras-retinanet 0.1 `utils/image.py`, `layers/_misc.py`),
and so is the reading of class lists (`CSVGenerator`). Files hold whole models or only weights. The fork that the
midwater detector comes from, cvisionai/keras_retinanet, does the same in all this.

The reference's knobs: `score_threshold: 0.125, iou_threshold: 0.4, max_detections: 300`.
"""

import csv
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from deployments.checkpoints.hdf5 import KerasFile, open_tried
from deployments.definition import ModelDefinition, Settings
from deployments.errors import ModelUnavailable
from deployments.families.contract import Outputs, Prepared, Thresholds
from deployments.families.retinanet.keras_retinanet_graph import KerasRetinaNetGraph
from deployments.families.retinanet.keras_retinanet_layout import KerasRetinaNetLayout, read_layout
from deployments.families.retinanet.views import Size, canvas_size, draw
from deployments.families.shared.definition_checks import checked_labels, needed_weights, read_parameters
from deployments.families.shared.detections import best_detections, rule_of
from deployments.families.shared.float_pixels import with_fractions
from deployments.prediction import Detections

MAX_EDGE_PX = 4096
MAX_CLASS_FILE_BYTES = 2**20


class KerasRetinaNetParameters(Settings):
    """The `parameters` of a keras-retinanet model in YAML. Defaults are those of the midwater detector."""

    short_edge_px: int = Field(default=1100, ge=32, le=MAX_EDGE_PX)
    """The shorter side of the resized image ..."""

    long_edge_px: int = Field(default=1650, ge=32, le=MAX_EDGE_PX)
    """... unless the longer one would exceed this."""

    shape: Literal["fixed", "reference"] = "fixed"
    """One canvas for all images (an upright image is made smaller to fit), or for each the size it is resized to,
    as the reference does. Both are the same for images that fill the canvas: at 16:9, `canvas_px: [928, 1650]`."""

    class_file: str | None = None
    """The published class list, rows of name and number, instead of `labels`; beside the weights unless absolute."""

    candidates: int = Field(default=3000, ge=1, le=30_000)
    """Best boxes of an image that reach suppression, of those of the request's classes and above its thresholds. The
    reference has no bound; a lower one loses nothing but detections beyond the best `candidates` boxes."""

    precision: Literal["float32", "bfloat16", "float16"] = "float32"
    """Of weights and arithmetic; boxes and scores are always finished in float32."""


@dataclass(frozen=True, slots=True)
class KerasRetinaNetGeometry:
    """Where one image lies on its canvas."""

    source_px: Size
    """Height and width of the image as it came."""

    gain: float
    """Canvas pixels for one pixel of the image, the same for both axes."""

    def to_image(self, boxes: NDArray[Any]) -> NDArray[np.float32]:
        """Boxes (n, 4) from canvas to image pixels, clipped, which the reference leaves to its caller."""
        height, width = self.source_px
        mapped = np.asarray(boxes, np.float64).reshape(-1, 4) / self.gain
        clipped: NDArray[np.float32] = np.clip(mapped, 0.0, np.array([width, height] * 2)).astype(np.float32)
        return clipped


class KerasRetinaNet:
    """A `Family`. Raises ModelUnavailable when the file, labels, canvas or parameters disagree."""

    def __init__(self, definition: ModelDefinition) -> None:
        self._path = needed_weights(definition, "a .h5 file")
        self.parameters = read_parameters(definition, KerasRetinaNetParameters)
        with open_tried(self._path) as file:
            class_count = _checked_layout(file).class_count
        self.labels = self._checked_labels(definition.labels, class_count)
        self.input_px: Size = definition.canvas_px or (self.parameters.short_edge_px, self.parameters.long_edge_px)
        if any(not 32 <= side <= MAX_EDGE_PX for side in self.input_px):
            raise ModelUnavailable(f"canvas_px {self.input_px} must be 32 to {MAX_EDGE_PX}")

    @property
    def canvas_px(self) -> Size:
        """What the graph takes: the network's input twice, see `preprocess`, and rows that tell the image's size."""
        return canvas_size([self.input_px] * 2)

    def preprocess(self, pixels: NDArray[np.uint8]) -> Prepared[KerasRetinaNetGeometry]:
        """Resize uint8 RGB (height, width, 3) by OpenCV's bilinear filter, by one factor for both axes, in float32.

        The reference rounds nothing after resizing, so the canvas holds 256ths of grey levels too.
        """
        height, width = pixels.shape[0], pixels.shape[1]
        gain = self._gain(height, width)
        resized = _resized(pixels.astype(np.float32), gain)
        part_px = self.input_px if self.parameters.shape == "fixed" else (resized.shape[0], resized.shape[1])
        return Prepared(draw(with_fractions(resized), [part_px] * 2), KerasRetinaNetGeometry((height, width), gain))

    def build_graph(self) -> KerasRetinaNetGraph:
        """The network with its weights; see `KerasRetinaNetGraph` for what goes in and comes out."""
        with KerasFile(self._path) as file:
            return KerasRetinaNetGraph(_checked_layout(file), self.parameters.precision)

    def postprocess(self, outputs: Outputs, geometry: KerasRetinaNetGeometry, thresholds: Thresholds) -> Detections:
        """Suppression across all classes by each box's best score, then pixels of the client's image; best first.
        Boxes left without area are dropped."""
        rule = replace(rule_of(thresholds, self.labels, agnostic=True), candidates=self.parameters.candidates)
        return best_detections(outputs, rule, self.labels, geometry.to_image)

    def _gain(self, height: int, width: int) -> float:
        gain = self.parameters.short_edge_px / min(height, width)
        if max(height, width) * gain > self.parameters.long_edge_px:
            gain = self.parameters.long_edge_px / max(height, width)
        rows, columns = self.input_px
        # Compared after rounding, so that an image that fills the canvas keeps the reference's own factor.
        if self.parameters.shape == "fixed" and (round(height * gain) > rows or round(width * gain) > columns):
            gain = min(rows / height, columns / width)
        return gain

    def _checked_labels(self, declared: tuple[str, ...] | None, class_count: int) -> tuple[str, ...]:
        listed = None
        if self.parameters.class_file is not None:
            path = self._path.parent / self.parameters.class_file
            listed = read_class_file(path)
            if declared is not None and declared != listed:
                raise ModelUnavailable(f"labels and {path.name} name different classes; give one of them")
        return checked_labels(self._path.name, declared, listed, class_count, " or parameters.class_file")


def _resized(pixels: NDArray[np.float32], gain: float) -> NDArray[np.float32]:
    height, width = pixels.shape[0], pixels.shape[1]
    # A very long, thin image would otherwise round to a side of zero pixels.
    if round(min(height, width) * gain) < 1:
        size = (max(1, round(width * gain)), max(1, round(height * gain)))
        return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_LINEAR), np.float32)
    return np.asarray(cv2.resize(pixels, None, fx=gain, fy=gain, interpolation=cv2.INTER_LINEAR), np.float32)


def read_class_file(path: Path) -> tuple[str, ...]:
    """Class names of a file with rows of name and number, in the order of their numbers, which start at 0.

    Raises ModelUnavailable when it cannot be read, or the numbers are not each once.
    """
    try:
        with path.open("rb") as file:
            text = file.read(MAX_CLASS_FILE_BYTES).decode("utf-8-sig")
        rows = list(csv.reader(text.splitlines()))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ModelUnavailable(f"class_file {path} cannot be read: {error}") from error
    names: dict[int, str] = {}
    for row in filter(None, rows):
        if len(row) != 2 or not row[0].strip() or not re.fullmatch("[0-9]{1,6}", row[1].strip()):
            raise ModelUnavailable(
                f"class_file {path.name}: the row {','.join(row)[:80]!r} is not a name and a number"
            )
        if int(row[1]) in names:
            raise ModelUnavailable(f"class_file {path.name}: number {int(row[1])} stands twice")
        names[int(row[1])] = row[0].strip()
    if sorted(names) != list(range(len(names))) or not names:
        raise ModelUnavailable(f"class_file {path.name}: {len(names)} classes, not numbered 0 to {len(names) - 1}")
    return tuple(names[number] for number in range(len(names)))


def _checked_layout(file: KerasFile) -> KerasRetinaNetLayout:
    layers, description = file.layers(), file.description()
    try:
        return read_layout(layers, description)
    except ModelUnavailable as error:
        raise file.refusal(error.message) from error
