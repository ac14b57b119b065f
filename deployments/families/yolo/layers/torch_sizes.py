"""PyTorch's layers that change the size of a feature map and have no weights, rebuilt in Keras, channels last.

The arithmetic is that of torch.nn's documentation: padding is symmetric, and pooling pads with -infinity.
"""

from typing import Any

from keras import ops

from deployments.checkpoints import ModuleStub, describe
from deployments.errors import ModelUnavailable
from deployments.families.yolo.layers.torch_layers import LayerBuilder, Maker, Program, pair_of


def make_upsample(builder: LayerBuilder, stub: ModuleStub) -> Program:
    """torch.nn.Upsample, nearest neighbour, by a whole factor."""
    factor, mode = stub.number("scale_factor"), stub.state.get("mode")
    if mode != "nearest" or not 1 <= factor <= 8 or factor != int(factor):
        raise ModelUnavailable(
            f"upsampling ({describe(mode)}) by {factor:g} is not supported, expected 'nearest' by a whole factor"
        )
    times = int(factor)
    return lambda x: ops.repeat(ops.repeat(x, times, axis=1), times, axis=2)


def make_max_pool(builder: LayerBuilder, stub: ModuleStub) -> Program:
    """torch.nn.MaxPool2d. Most keep the size; those of yolov3-tiny halve it."""
    size, step, pad = (pair_of(stub, name) for name in ("kernel_size", "stride", "padding"))
    if min(*size, *step) < 1 or pad[0] * 2 > size[0] or pad[1] * 2 > size[1] or stub.flag("ceil_mode"):
        raise ModelUnavailable(f"max pooling of {size} with stride {step} and padding {pad} is not supported")
    return max_pool(size, step, pad)


def max_pool(size: tuple[int, int], step: tuple[int, int], pad: tuple[int, int]) -> Program:
    """The largest of each `size` places, every `step` places, with `pad` places on both sides; down, then across."""
    if step == (1, 1) and pad == (size[0] // 2, size[1] // 2) and size[0] % 2 and size[1] % 2:
        return lambda x: ops.max_pool(x, size, strides=1, padding="same")
    border = ((0, 0), (pad[0], pad[0]), (pad[1], pad[1]), (0, 0))

    def run(x: Any) -> Any:
        padded = ops.pad(x, border, constant_values=float("-inf")) if any(pad) else x
        return ops.max_pool(padded, size, strides=step, padding="valid")

    return run


def make_zero_pad(builder: LayerBuilder, stub: ModuleStub) -> Program:
    """torch.nn.ZeroPad2d: left, right, top, bottom."""
    sides = stub.state.get("padding")
    if not isinstance(sides, tuple | list) or len(sides) != 4 or not all(type(side) is int for side in sides):
        raise ModelUnavailable(f"'padding' of {stub.kind} is not four integers")
    if min(sides) < 0 or max(sides) > 64:
        raise ModelUnavailable(f"'padding' of {stub.kind} is not between 0 and 64")
    left, right, top, bottom = sides
    return lambda x: ops.pad(x, ((0, 0), (top, bottom), (left, right), (0, 0)))


SIZE_LAYERS: dict[str, Maker] = {
    "MaxPool2d": make_max_pool,
    "Upsample": make_upsample,
    "ZeroPad2d": make_zero_pad,
}
