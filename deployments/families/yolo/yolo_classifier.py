"""Base of the classifiers from YOLO checkpoints: what is theirs is the kind of file, and how an image goes in."""

from collections.abc import Mapping
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from deployments.definition import ModelDefinition, Settings
from deployments.errors import ModelUnavailable
from deployments.families.contract import Outputs, Prepared, Thresholds
from deployments.families.shared.definition_checks import needed_weights, read_parameters
from deployments.families.shared.resize import CanvasGeometry
from deployments.families.yolo.heads.classify_head import check_head, make_head
from deployments.families.yolo.layers.torch_layers import Maker
from deployments.families.yolo.layers.yolo_blocks import BLOCKS
from deployments.families.yolo.yolo_checkpoint import YoloCheckpoint
from deployments.families.yolo.yolo_graph import ToInput, YoloGraph, as_they_are
from deployments.families.yolo.yolo_layout import YoloKind, labels_of
from deployments.prediction import ClassScores

DEFAULT_SIZE_PX = 224
LEAST_SIZE_PX = 32


class YoloClassifyParameters(Settings):
    """The `parameters` of a classifier in YAML."""

    precision: Literal["float32", "bfloat16", "float16"] = "float32"
    """Of weights and arithmetic; scores are always finished in float32."""


class YoloClassifier:
    """Base of the YOLO classifiers.

    Raises ModelUnavailable when the file, the labels, the canvas or the parameters disagree.
    """

    kind: YoloKind
    """Which checkpoints the family takes."""

    blocks: Mapping[str, Maker] = BLOCKS
    """What the network may be made of, by class name."""

    to_input: ToInput = staticmethod(as_they_are)
    """From pixels of 0 to 1 to the network's input."""

    def __init__(self, definition: ModelDefinition) -> None:
        path = needed_weights(definition, "a checkpoint")
        self.parameters = read_parameters(definition, YoloClassifyParameters)
        self._checkpoint = YoloCheckpoint(path, self.kind, self.blocks, check_head)
        layout = self._checkpoint.layout()
        self.labels: tuple[str, ...] = labels_of(layout, definition.labels, path.name)
        size = layout.train_size_px or DEFAULT_SIZE_PX
        self.canvas_px: tuple[int, int] = definition.canvas_px or (size, size)
        self.input_px = self.canvas_px
        if min(self.canvas_px) < LEAST_SIZE_PX:
            raise ModelUnavailable(f"canvas_px {self.canvas_px} must be at least {LEAST_SIZE_PX} on each side")

    def build_graph(self) -> YoloGraph:
        """The network with its weights: uint8 RGB (n, height, width, 3) to scores float32 (n, classes), sum 1."""
        return self._checkpoint.build(self.parameters.precision, make_head, self.to_input)

    def preprocess(self, pixels: NDArray[np.uint8]) -> Prepared[CanvasGeometry]:
        """uint8 RGB (height, width, 3) resized and cropped to the canvas."""
        raise NotImplementedError

    def postprocess(self, outputs: Outputs, geometry: CanvasGeometry, thresholds: Thresholds) -> ClassScores:
        """All scores, whatever the thresholds, in the order of the labels."""
        return ClassScores(np.asarray(outputs[0], np.float32), self.labels)
