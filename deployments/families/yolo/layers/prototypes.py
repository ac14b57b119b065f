"""What makes the prototypes of masks, rebuilt in Keras from the stubs of a checkpoint.

As in ultralytics `nn/modules/block.py` (`Proto`, `Proto26`) and in ultralytics/yolov5 `models/common.py` (`Proto`),
after YOLACT (Bolya et al. 2019, arXiv:1904.02689).
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from keras import ops

from deployments.checkpoints import ModuleStub
from deployments.errors import ModelUnavailable
from deployments.families.yolo.layers.torch_layers import LayerBuilder, Maker, Program, pair_of, sequence

_MOST = 8
"""Times that a transposed convolution makes a map larger, of each side."""


def make_transposed_convolution(builder: LayerBuilder, stub: ModuleStub) -> Program:
    """torch.nn.ConvTranspose2d whose stride is its size: each place becomes `size` places of its own."""
    size, stride = pair_of(stub, "kernel_size"), pair_of(stub, "stride")
    is_plain = all(pair_of(stub, name, 0) == (0, 0) for name in ("padding", "output_padding"))
    if size != stride or not 1 <= min(size) <= max(size) <= _MOST or not is_plain or stub.integer("groups", 1) != 1:
        raise ModelUnavailable(f"a transposed convolution of {size} with stride {stride} or padding is not supported")
    weight, found = stub.tensor("weight").numpy(), stub.find_tensor("bias")
    expected = (stub.integer("in_channels"), stub.integer("out_channels"), *size)
    bias = np.zeros(expected[1:2], np.float32) if found is None else found.numpy()
    if weight.shape != expected or bias.shape != expected[1:2]:
        raise ModelUnavailable(
            f"a transposed convolution has weights of shape {weight.shape} and a bias of {bias.shape}, "
            f"expected {expected}"
        )
    channels, (high, wide) = expected[1], size
    matrix = builder.variable(weight.transpose(0, 2, 3, 1).reshape(expected[0], -1))
    shift = builder.variable(bias)

    def run(x: Any) -> Any:
        _, height, width, given = x.shape
        if int(given) != expected[0]:
            raise ModelUnavailable(f"a transposed convolution of {expected[0]} channels is given {given}")
        blocks = ops.reshape(ops.matmul(x, matrix), (-1, height, width, high, wide, channels))
        spread = ops.transpose(blocks, (0, 1, 3, 2, 4, 5))
        return ops.reshape(spread, (-1, height * high, width * wide, channels)) + shift

    return run


def make_proto(builder: LayerBuilder, stub: ModuleStub) -> Program:
    """Proto: from the largest feature map, at twice its size."""
    return sequence([builder.child(stub, name) for name in ("cv1", "upsample", "cv2", "cv3")])


def make_proto26(builder: LayerBuilder, stub: ModuleStub) -> Program:
    """Proto26: as Proto, from all feature maps, added at the size of the largest. Takes a list."""
    refine, fuse = builder.all_children(stub, "feat_refine"), builder.child(stub, "feat_fuse")
    proto = make_proto(builder, stub)

    def run(features: Sequence[Any]) -> Any:
        total = features[0]
        for program, feature in zip(refine, features[1:], strict=True):
            total = total + _enlarged(program(feature), total)
        return proto(fuse(total))

    return run


def _enlarged(x: Any, like: Any) -> Any:
    """`x`, each place repeated until it is as large as `like`."""
    for axis in (1, 2):
        times, rest = divmod(int(like.shape[axis]), int(x.shape[axis]))
        if rest:
            raise ModelUnavailable(f"a feature map of {like.shape[axis]} places cannot take one of {x.shape[axis]}")
        x = ops.repeat(x, times, axis=axis)
    return x


PROTOTYPE_BLOCKS: dict[str, Maker] = {
    "ConvTranspose2d": make_transposed_convolution,
    "Proto": make_proto,
    "Proto26": make_proto26,
}
