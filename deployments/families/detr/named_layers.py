"""Layers of RF-DETR's decoder by the names of their tensors, and how it moves a box. All in float32."""

from typing import Any

from keras import ops

from deployments.families.detr.rf_detr_tensors import NamedTensors
from deployments.families.shared.transformer import Dense, Norm, Program, make_layer_norm, make_linear

_EPSILON = 1e-5


def dense(tensors: NamedTensors, name: str) -> Dense:
    """The weights of a linear layer."""
    return Dense(tensors(f"{name}.weight"), tensors(f"{name}.bias"))


def norm_layer(tensors: NamedTensors, name: str) -> Program:
    """A LayerNorm of the decoder."""
    return make_layer_norm(Norm(tensors(f"{name}.weight"), tensors(f"{name}.bias"), _EPSILON))


def relu_layers(tensors: NamedTensors, name: str, count: int) -> Program:
    """Linear layers with a ReLU between them."""
    layers = [make_linear(dense(tensors, f"{name}.layers.{index}")) for index in range(count)]

    def run(x: Any) -> Any:
        for layer in layers[:-1]:
            x = ops.relu(layer(x))
        return layers[-1](x)

    return run


def box_layers(tensors: NamedTensors, name: str) -> Program:
    """The three layers that say how a box is moved."""
    return relu_layers(tensors, name, 3)


def moved(boxes: Any, deltas: Any) -> Any:
    """Boxes (..., 4), centre and size: the centre moved in parts of the size, the size multiplied by an exponential
    (rfdetr's `bbox_reparam`)."""
    centre = deltas[..., :2] * boxes[..., 2:] + boxes[..., :2]
    return ops.concatenate([centre, ops.exp(deltas[..., 2:]) * boxes[..., 2:]], axis=-1)
