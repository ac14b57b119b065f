"""The blocks of YOLOv9 as ultralytics has them, rebuilt in Keras from the stubs of a checkpoint.

As in its `nn/modules/block.py` (Wang et al. 2024, arXiv:2402.13616). Those that YOLOv9e alone has, CBLinear and
CBFuse, are not read.
"""

from typing import Any

from keras import ops

from deployments.checkpoints import ModuleStub
from deployments.errors import ModelUnavailable
from deployments.families.yolo.torch_layers import LayerBuilder, Maker, Program, sequence
from deployments.families.yolo.yolo_blocks import joined, make_bottleneck, make_c3


def make_rep_conv(builder: LayerBuilder, stub: ModuleStub) -> Program:
    """RepConv: convolutions of 3 x 3 and of one pixel, added; one where `fuse()` has joined them."""
    branches = [builder.child(stub, name) for name in ("conv", "conv1", "conv2") if name in stub.children]
    if "bn" in stub.children:
        raise ModelUnavailable("a RepConv has a batch norm beside its convolutions, which is not supported")
    act = builder.child(stub, "act")
    return lambda x: act(sum(branch(x) for branch in branches))


def make_elan(builder: LayerBuilder, stub: ModuleStub) -> Program:
    """RepNCSPELAN4 and ELAN1: two branches in a row, each of which is kept and joined."""
    first, last = builder.child(stub, "cv1"), builder.child(stub, "cv4")
    branches = [builder.child(stub, name) for name in ("cv2", "cv3")]

    def run(x: Any) -> Any:
        parts = list(ops.split(first(x), 2, axis=-1))
        for branch in branches:
            parts.append(branch(parts[-1]))
        return last(joined(parts))

    return run


def make_a_conv(builder: LayerBuilder, stub: ModuleStub) -> Program:
    """AConv: the mean of each 2 x 2 pixels, then a convolution with a stride."""
    return sequence([_means, builder.child(stub, "cv1")])


def make_a_down(builder: LayerBuilder, stub: ModuleStub) -> Program:
    """ADown: as AConv for one half of the channels, and the largest of each 3 x 3 pixels for the other."""
    cv1, cv2 = builder.child(stub, "cv1"), builder.child(stub, "cv2")

    def run(x: Any) -> Any:
        convolved, pooled = ops.split(_means(x), 2, axis=-1)
        # Every second of all places: TensorFlow pads a stride of 2 at the end only.
        largest = ops.max_pool(pooled, 3, strides=1, padding="same")[:, ::2, ::2]
        return joined([cv1(convolved), cv2(largest)])

    return run


def make_spp_elan(builder: LayerBuilder, stub: ModuleStub) -> Program:
    """SPPELAN: pooling three times over, each kept and joined."""
    first, last = builder.child(stub, "cv1"), builder.child(stub, "cv5")
    pools = [builder.child(stub, name) for name in ("cv2", "cv3", "cv4")]

    def run(x: Any) -> Any:
        parts = [first(x)]
        for pool in pools:
            parts.append(pool(parts[-1]))
        return last(joined(parts))

    return run


def _means(x: Any) -> Any:
    return ops.average_pool(x, 2, strides=1, padding="valid")


YOLOV9_BLOCKS: dict[str, Maker] = {
    "AConv": make_a_conv,
    "ADown": make_a_down,
    "ELAN1": make_elan,
    "RepBottleneck": make_bottleneck,
    "RepCSP": make_c3,
    "RepConv": make_rep_conv,
    "RepNCSPELAN4": make_elan,
    "SPPELAN": make_spp_elan,
}
