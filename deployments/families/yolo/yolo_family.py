"""A detector from a YOLO checkpoint: a letterboxed image goes in, and NMS thins what comes out.

It joins three parts that a family may also take one by one: `yolo_checkpoint` (the file and its graph),
`shared/letterbox` (the canvas) and `heads/ending` (NMS and the answer).

Two shapes of input: `fixed` letterboxes each image onto one canvas, compiled when the replica starts;
`reference` pads only to the next multiple of the stride, as the reference implementations do for one image,
so that a first image of a new shape is slower by a compilation.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from deployments.definition import ModelDefinition, Settings
from deployments.families.contract import Outputs, Prepared, Thresholds
from deployments.families.shared.definition_checks import (
    check_canvas,
    needed_weights,
    read_parameters,
)
from deployments.families.shared.detections import rule_of
from deployments.families.shared.letterbox import Letterbox, letterbox, letterbox_within
from deployments.families.yolo.heads.ending import Ending, Place
from deployments.families.yolo.heads.multi_label import CLASS_OFFSET_PX, pairs_of
from deployments.families.yolo.layers.torch_layers import LayerBuilder, Maker
from deployments.families.yolo.layers.yolo_blocks import BLOCKS
from deployments.families.yolo.yolo_checkpoint import YoloCheckpoint
from deployments.families.yolo.yolo_graph import Head, YoloGraph, as_they_are, first_channel
from deployments.families.yolo.yolo_layout import GREY, YoloKind, YoloLayout, labels_of
from deployments.prediction import Detections

DEFAULT_SIZE_PX = 640


class YoloParameters(Settings):
    """The `parameters` of a YOLO model in YAML."""

    shape: Literal["fixed", "reference"] = "fixed"
    """One canvas for all images, or the reference's smallest rectangle for each."""

    precision: Literal["float32", "bfloat16", "float16"] = "float32"
    """Of weights and arithmetic; boxes and scores are always finished in float32."""

    class_agnostic: bool = False
    """Whether boxes of different classes suppress each other."""

    multi_label: bool = False
    """Whether a box is answered with each of its classes whose score is above the threshold, as val.py of the
    references does for mAP, and not only with the best. It costs time and memory, so for evaluation."""

    candidates: int = Field(default=3000, ge=1, le=30_000)
    """Best boxes of an image that reach NMS, of those of the request's classes and above its thresholds. The
    references have no bound below 30,000; a lower one loses nothing but detections beyond the best `candidates`
    boxes."""


class YoloFamily:
    """Base of the YOLO detectors: checks the checkpoint when made, builds its graph when asked.

    Raises ModelUnavailable when the file, the family, the labels, the canvas or the parameters disagree.
    """

    kind: YoloKind
    """Which checkpoints the family takes."""

    blocks: Mapping[str, Maker] = BLOCKS
    """What the network may be made of, by class name."""

    parameters_type: type[YoloParameters] = YoloParameters

    def __init__(self, definition: ModelDefinition) -> None:
        path = needed_weights(definition, "a checkpoint")
        self.parameters = read_parameters(definition, self.parameters_type)
        self._checkpoint = YoloCheckpoint(path, self.kind, self.blocks, self.check_head)
        layout = self._checkpoint.layout()
        self.labels: tuple[str, ...] = labels_of(layout, definition.labels, path.name)
        self._largest_stride_px = max(layout.strides_px)
        size = layout.train_size_px or DEFAULT_SIZE_PX
        self.canvas_px: tuple[int, int] = definition.canvas_px or (size, size)
        self.input_px = self.canvas_px
        check_canvas(self.canvas_px, self._largest_stride_px, path.name)
        self._is_grey = layout.channels == GREY
        self._is_one_to_one = self.is_one_to_one(layout)
        self._ending = self.ending_of(layout)

    def check_head(self, layout: YoloLayout) -> None:
        """Raise ModelUnavailable when the head holds what this family does not support."""
        raise NotImplementedError

    def is_one_to_one(self, layout: YoloLayout) -> bool:
        """Whether the head answers once for each object, so that NMS is left out."""
        return False

    def ending_of(self, layout: YoloLayout) -> Ending:
        """What becomes of the outputs of the head. May raise ModelUnavailable."""
        return Ending()

    def make_head(self, layout: YoloLayout, builder: LayerBuilder) -> Head:
        """The head's program: feature maps to boxes (n, k, ...), scores (n, k), classes (n, k), and what the ending
        reads after them."""
        raise NotImplementedError

    def build_graph(self) -> YoloGraph:
        """The network with its weights.

        Takes uint8 RGB (n, height, width, 3). Gives boxes float32 (n, k, 4) x1 y1 x2 y2 in canvas pixels,
        scores float32 (n, k), and classes int32 (n, k), of every cell; of some heads, other boxes and more.
        """
        to_input = first_channel if self._is_grey else as_they_are
        return self._checkpoint.build(self.parameters.precision, self.make_head, to_input)

    def preprocess(self, pixels: NDArray[np.uint8]) -> Prepared[Letterbox]:
        """Letterbox uint8 RGB (height, width, 3); the geometry is a `Letterbox`."""
        return self.prepare(pixels, self.canvas_px)

    def prepare(self, pixels: NDArray[np.uint8], canvas_px: tuple[int, int]) -> Prepared[Letterbox]:
        """Letterbox onto `canvas_px`, or, with `shape: reference`, onto the smallest canvas within.

        For a network of one channel the image is made grey first, as ultralytics reads it with OpenCV.
        """
        if self._is_grey:
            pixels = cv2.cvtColor(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), cv2.COLOR_GRAY2RGB).astype(np.uint8)
        if self.parameters.shape == "fixed":
            return Prepared(*letterbox(pixels, canvas_px))
        return Prepared(*letterbox_within(pixels, canvas_px, self._largest_stride_px))

    def postprocess(self, outputs: Outputs, geometry: Letterbox, thresholds: Thresholds) -> Detections:
        """NMS, then pixels of the client's image; best first. Labels that are not the model's match nothing.

        Without NMS for a one-to-one head.
        """
        rule = rule_of(thresholds, self.labels, agnostic=self.parameters.class_agnostic)
        rule = replace(rule, candidates=self.parameters.candidates)
        if self._is_one_to_one:
            rule = replace(rule, iou_threshold=None)
        if self.parameters.multi_label:
            rule = replace(rule, class_offset_px=CLASS_OFFSET_PX)
            outputs = pairs_of(outputs, rule)
        kept = self._ending.kept(outputs, rule)
        return self._ending.detections(outputs, kept, Place(geometry, self.to_image, self.labels))

    def to_image(self, boxes: NDArray[Any], geometry: Letterbox) -> NDArray[np.float32]:
        """Boxes (n, 4) from canvas to image pixels, clipped."""
        return geometry.to_image(boxes)
