"""PyTorch's own layers, rebuilt in Keras from the stubs of a checkpoint, channels last, batch-norm folded.

`torch.nn` and the plain convolution blocks that every YOLO is made of. The arithmetic is that of torch.nn's
documentation: padding is symmetric, and pooling pads with -infinity.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from deployments.checkpoints import ModuleStub
from deployments.errors import ModelUnavailable
from deployments.families.shared.convolution import (
    ConvolutionGeometry,
    dense_convolution,
    depthwise_convolution,
    variable,
)

Program = Callable[[Any], Any]
"""One layer: a tensor (n, height, width, channels) to another; some take a list of tensors."""

_MAX_MODULES = 20_000
_MAX_DEPTH = 50


@dataclass(slots=True)
class LayerBuilder:
    """Turns stubs into programs."""

    makers: Mapping[str, "Maker"]
    """A function for each class name."""

    dtype: str = "float32"
    """Of weights and arithmetic."""

    _modules: int = 0

    def build(self, stub: ModuleStub) -> Program:
        """The program of one module. Raises ModelUnavailable for an unknown layer."""
        self._modules += 1
        if self._modules > _MAX_MODULES:
            raise ModelUnavailable(f"the network has more than {_MAX_MODULES} modules")
        maker = self.makers.get(stub.class_name)
        if maker is None:
            raise unknown_layer(stub, self.makers)
        return maker(self, stub)

    def child(self, stub: ModuleStub, name: str) -> Program:
        """The program of one child."""
        return self.build(stub.child(name))

    def all_children(self, stub: ModuleStub, name: str) -> list[Program]:
        """The programs of a ModuleList."""
        return [self.build(child) for child in stub.child(name).children.values()]

    def variable(self, values: NDArray[Any]) -> keras.Variable:
        """A weight of the network in its dtype."""
        return variable(values, self.dtype)


Maker = Callable[[LayerBuilder, ModuleStub], Program]


def unknown_layer(stub: ModuleStub, known: Mapping[str, Maker]) -> ModelUnavailable:
    """The error for a layer without a maker."""
    return ModelUnavailable(f"unknown layer {stub.kind}; known: {', '.join(sorted(known))}")


def check_layers(stub: ModuleStub, known: Mapping[str, Maker], depth: int = 0) -> int:
    """Walk all modules without building them, and count them.

    Raises ModelUnavailable for the first unknown one, and for a tree that is too deep or too large (it may
    contain itself).
    """
    if stub.class_name not in known and stub.class_name not in ("ModuleList", "BatchNorm2d"):
        raise unknown_layer(stub, known)
    if depth > _MAX_DEPTH:
        raise ModelUnavailable(f"modules are nested more than {_MAX_DEPTH} deep in {stub.kind}")
    count = 1
    for child in stub.children.values():
        count += check_layers(child, known, depth + 1)
        if count > _MAX_MODULES:
            raise ModelUnavailable(f"the network has more than {_MAX_MODULES} modules")
    return count


def sequence(programs: list[Program]) -> Program:
    """One after the other."""

    def run(x: Any) -> Any:
        for program in programs:
            x = program(x)
        return x

    return run


def make_sequential(builder: LayerBuilder, stub: ModuleStub) -> Program:
    """torch.nn.Sequential."""
    return sequence([builder.build(child) for child in stub.children.values()])


def make_activation(builder: LayerBuilder, stub: ModuleStub) -> Program:
    """The activations of torch.nn that YOLO checkpoints carry."""
    if stub.class_name == "LeakyReLU":
        slope = stub.number("negative_slope", 0.01)
        return lambda x: ops.leaky_relu(x, negative_slope=slope)
    activations: dict[str, Program] = {
        "SiLU": ops.silu,
        "ReLU": ops.relu,
        "Hardswish": ops.hard_silu,
        "Sigmoid": ops.sigmoid,
        "Identity": lambda x: x,
        "Mish": lambda x: x * ops.tanh(ops.softplus(x)),
        "GELU": lambda x: ops.gelu(x, approximate=False),
        "ELU": ops.elu,
        "ReLU6": ops.relu6,
    }
    return activations[stub.class_name]


def make_linear(builder: LayerBuilder, stub: ModuleStub) -> Program:
    """torch.nn.Linear over the channels, which are last."""
    weight, bias = linear_weights(stub)
    matrix, shift = builder.variable(weight.T), builder.variable(bias)
    return lambda x: ops.matmul(x, matrix) + shift


def linear_weights(stub: ModuleStub) -> tuple[NDArray[Any], NDArray[Any]]:
    """Weights (out, in) and bias (out,), zeros where there is none, of a torch.nn.Linear. Raises ModelUnavailable."""
    weight, found = stub.tensor("weight").numpy(), stub.find_tensor("bias")
    bias = np.zeros(weight.shape[:1], weight.dtype) if found is None else found.numpy()
    if weight.ndim != 2 or bias.shape != weight.shape[:1]:
        raise ModelUnavailable(f"{stub.kind} has weights of shape {weight.shape} and a bias of {bias.shape}")
    return weight, bias


def make_conv2d(builder: LayerBuilder, stub: ModuleStub) -> Program:
    """torch.nn.Conv2d by itself."""
    return _convolution(builder, stub, None)


def make_conv2d_of(builder: LayerBuilder, stub: ModuleStub, channels: NDArray[np.intp]) -> Program:
    """torch.nn.Conv2d reduced to some of its output channels, in the order given."""
    return _convolution(builder, stub, None, channels)


def make_conv2d_with_norm(builder: LayerBuilder, convolution: ModuleStub, norm: ModuleStub) -> Program:
    """torch.nn.Conv2d and the BatchNorm2d that follows it."""
    return _convolution(builder, convolution, norm)


def make_conv(builder: LayerBuilder, stub: ModuleStub) -> Program:
    """The `Conv` of all YOLOs: convolution, batch norm, activation; also as left by `fuse()`."""
    folded = _convolution(builder, stub.child("conv"), stub.children.get("bn"))
    return sequence([folded, builder.child(stub, "act")])


def batch_norm_affine(norm: ModuleStub) -> tuple[NDArray[Any], NDArray[Any]]:
    """Scale and shift, float64 (channels,), to which a BatchNorm2d in evaluation amounts."""
    mean = norm.tensor("running_mean").numpy().astype(np.float64)
    variance = norm.tensor("running_var").numpy().astype(np.float64)
    gamma, beta = norm.find_tensor("weight"), norm.find_tensor("bias")
    scale = 1.0 / np.sqrt(variance + norm.number("eps"))
    if gamma is not None:
        scale = scale * gamma.numpy().astype(np.float64)
    shift = -mean * scale
    if beta is not None:
        shift = shift + beta.numpy().astype(np.float64)
    return scale, shift


def _convolution(
    builder: LayerBuilder, stub: ModuleStub, norm: ModuleStub | None, channels: NDArray[np.intp] | None = None
) -> Program:
    """A convolution with `norm`, which follows it, folded into its weights."""
    if stub.class_name != "Conv2d":
        raise ModelUnavailable(f"{stub.kind} stands where torch.nn.Conv2d was expected")
    weight = stub.tensor("weight").numpy().astype(np.float64)
    groups = stub.integer("groups", 1)
    size = pair_of(stub, "kernel_size")
    expected = (stub.integer("out_channels"), stub.integer("in_channels") // max(groups, 1), *size)
    if weight.shape != expected:
        raise ModelUnavailable(f"a convolution has weights of shape {weight.shape}, expected {expected}")
    bias_tensor = stub.find_tensor("bias")
    bias = np.zeros(weight.shape[0]) if bias_tensor is None else bias_tensor.numpy().astype(np.float64)
    if norm is not None:
        scale, shift = batch_norm_affine(norm)
        if scale.shape != bias.shape or shift.shape != bias.shape:
            raise ModelUnavailable(f"a batch norm of {scale.size} channels follows {bias.size} channels")
        weight, bias = weight * scale[:, None, None, None], bias * scale + shift
    if channels is not None:
        weight, bias = weight[channels], bias[channels]
    geometry = _geometry(stub, size)
    if groups == 1:
        return dense_convolution(weight, bias, geometry, builder.dtype)
    if groups != stub.integer("in_channels"):
        raise ModelUnavailable(f"a convolution has {groups} groups, expected 1 or one for each channel")
    return depthwise_convolution(weight.reshape(groups, -1, *size), bias, geometry, builder.dtype)


def _geometry(stub: ModuleStub, size: tuple[int, int]) -> ConvolutionGeometry:
    if stub.state.get("padding_mode", "zeros") != "zeros":
        raise ModelUnavailable("a convolution pads with something other than zeros, which is not supported")
    return ConvolutionGeometry.of(
        size, pair_of(stub, "stride", least=1), pair_of(stub, "padding"), pair_of(stub, "dilation", 1, least=1)
    )


def pair_of(stub: ModuleStub, name: str, default: int | None = None, least: int = 0) -> tuple[int, int]:
    """An attribute that torch keeps as one integer or as two."""
    value = stub.state.get(name, default)
    pair = (value, value) if type(value) is int else value
    is_pair = isinstance(pair, tuple) and len(pair) == 2 and all(type(item) is int for item in pair)
    if not is_pair or min(pair) < least or max(pair) > 1024:
        raise ModelUnavailable(f"{name!r} of {stub.kind} is not a pair of integers from {least} to 1024")
    return pair


LAYERS: dict[str, Maker] = {
    "Sequential": make_sequential,
    "SiLU": make_activation,
    "ReLU": make_activation,
    "LeakyReLU": make_activation,
    "Hardswish": make_activation,
    "Sigmoid": make_activation,
    "Identity": make_activation,
    **dict.fromkeys(("Mish", "GELU", "ELU", "ReLU6"), make_activation),
    **dict.fromkeys(("Linear", "NonDynamicallyQuantizableLinear"), make_linear),
    "Conv2d": make_conv2d,
    "Conv": make_conv,
    "DWConv": make_conv,
}
"""Makers by class name; the YOLO blocks are added in `yolo_blocks`."""
