"""Classifiers from the `-cls.pt` files of ultralytics, all sizes.

The head is a convolution, the mean over all positions and a linear layer (ultralytics 8.4 `nn/modules/head.py`
`Classify`); an image is resized and cropped as its `data/augment.py` `classify_transforms` does.
"""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from keras import ops
from numpy.typing import NDArray

from deployments.definition import ModelDefinition, Settings
from deployments.errors import ModelUnavailable
from deployments.families.contract import Outputs, Prepared, Thresholds
from deployments.families.shared.definition_checks import needed_weights, read_parameters
from deployments.families.shared.resize import CanvasGeometry, Resize
from deployments.families.yolo.torch_layers import LayerBuilder, check_layers, linear_weights
from deployments.families.yolo.yolo_blocks import BLOCKS
from deployments.families.yolo.yolo_checkpoint import YoloCheckpoint
from deployments.families.yolo.yolo_graph import Head, YoloGraph
from deployments.families.yolo.yolo_layout import YoloKind, YoloLayout, labels_of
from deployments.prediction import ClassScores

DEFAULT_SIZE_PX = 224
LEAST_SIZE_PX = 32


class UltralyticsClassifyParameters(Settings):
    """The `parameters` of a classifier in YAML."""

    precision: Literal["float32", "bfloat16", "float16"] = "float32"
    """Of weights and arithmetic; scores are always finished in float32."""


KIND = YoloKind(
    family="ultralytics-classify",
    networks=frozenset({"ultralytics.nn.tasks.ClassificationModel"}),
    heads=frozenset({"ultralytics.nn.modules.head.Classify", "ultralytics.nn.modules.Classify"}),
    count_classes=lambda head: head.child("linear").tensor("bias").numel,
)


class UltralyticsClassify:
    """The family of ultralytics classifiers.

    Raises ModelUnavailable when the file, the labels, the canvas or the parameters disagree.
    """

    def __init__(self, definition: ModelDefinition) -> None:
        path = needed_weights(definition, "a checkpoint")
        self.parameters = read_parameters(definition, UltralyticsClassifyParameters)
        self._checkpoint = YoloCheckpoint(path, KIND, BLOCKS, _check_head)
        layout = self._checkpoint.layout()
        self.labels: tuple[str, ...] = labels_of(layout, definition.labels, path.name)
        size = layout.train_size_px or DEFAULT_SIZE_PX
        self.canvas_px: tuple[int, int] = definition.canvas_px or (size, size)
        if min(self.canvas_px) < LEAST_SIZE_PX:
            raise ModelUnavailable(f"canvas_px {self.canvas_px} must be at least {LEAST_SIZE_PX} on each side")
        self._resize = Resize("centre-crop", self.canvas_px, "antialiased")

    def build_graph(self) -> YoloGraph:
        """The network with its weights: uint8 RGB (n, height, width, 3) to scores float32 (n, classes), sum 1."""
        return self._checkpoint.build(self.parameters.precision, _make_head)

    def preprocess(self, pixels: NDArray[np.uint8]) -> Prepared[CanvasGeometry]:
        """uint8 RGB (height, width, 3) resized and cropped to the canvas."""
        return Prepared(*self._resize.apply(pixels))

    def postprocess(self, outputs: Outputs, geometry: CanvasGeometry, thresholds: Thresholds) -> ClassScores:
        """All scores, whatever the thresholds, in the order of the labels."""
        return ClassScores(np.asarray(outputs[0], np.float32), self.labels)


def _check_head(layout: YoloLayout) -> None:
    head = layout.head.stub
    check_layers(head.child("conv"), BLOCKS)
    linear_weights(head.child("linear"))
    if len(layout.head.sources) != 1:
        raise ModelUnavailable(f"the head reads {len(layout.head.sources)} feature maps, expected one")


def _make_head(layout: YoloLayout, builder: LayerBuilder) -> Head:
    convolution = builder.child(layout.head.stub, "conv")
    weight, bias = (values.astype(np.float32) for values in linear_weights(layout.head.stub.child("linear")))

    def head(features: Sequence[Any]) -> tuple[Any, ...]:
        means = ops.mean(ops.cast(convolution(features[0]), "float32"), axis=(1, 2))
        if int(means.shape[-1]) != weight.shape[1]:
            raise ModelUnavailable(f"the last layer takes {weight.shape[1]} channels and gets {means.shape[-1]}")
        return (ops.softmax(ops.matmul(means, weight.T) + bias, axis=-1),)

    return head
