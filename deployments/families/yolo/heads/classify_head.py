"""The head of classifiers: a convolution, the mean over all positions and a linear layer.

As `Classify` of ultralytics 8.4 `nn/modules/head.py` and of ultralytics/yolov5 `models/common.py`.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from keras import ops

from deployments.checkpoints import ModuleStub
from deployments.errors import ModelUnavailable
from deployments.families.yolo.layers.torch_layers import LayerBuilder, check_layers, linear_weights
from deployments.families.yolo.layers.yolo_blocks import BLOCKS
from deployments.families.yolo.yolo_graph import Head
from deployments.families.yolo.yolo_layout import YoloLayout


def count_classes(head: ModuleStub) -> int:
    """How many classes the last layer has."""
    return head.child("linear").tensor("bias").numel


def check_head(layout: YoloLayout) -> None:
    """Raises ModelUnavailable for a head that holds something else, or reads several feature maps."""
    head = layout.head.stub
    check_layers(head.child("conv"), BLOCKS)
    linear_weights(head.child("linear"))
    if len(layout.head.sources) != 1:
        raise ModelUnavailable(f"the head reads {len(layout.head.sources)} feature maps, expected one")


def make_head(layout: YoloLayout, builder: LayerBuilder) -> Head:
    """The program: a feature map to scores float32 (n, classes), sum 1."""
    convolution = builder.child(layout.head.stub, "conv")
    weight, bias = (values.astype(np.float32) for values in linear_weights(layout.head.stub.child("linear")))

    def head(features: Sequence[Any]) -> tuple[Any, ...]:
        means = ops.mean(ops.cast(convolution(features[0]), "float32"), axis=(1, 2))
        if int(means.shape[-1]) != weight.shape[1]:
            raise ModelUnavailable(f"the last layer takes {weight.shape[1]} channels and gets {means.shape[-1]}")
        return (ops.softmax(ops.matmul(means, weight.T) + bias, axis=-1),)

    return head
