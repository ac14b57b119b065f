"""The blocks of YOLOv9 as ultralytics has them, rebuilt in Keras from the stubs of a checkpoint.

As in its `nn/modules/block.py` (Wang et al. 2024, arXiv:2402.13616). Those that YOLOv9e alone has, CBLinear and
CBFuse, are not read.
"""

from typing import Any

from keras import ops

from deployments.checkpoints import ModuleStub
from deployments.families.yolo.layers.torch_layers import LayerBuilder, Maker, Program, sequence
from deployments.families.yolo.layers.torch_sizes import max_pool
from deployments.families.yolo.layers.yolo_blocks import (
    joined,
    kept_and_joined,
    make_bottleneck,
    make_c3,
    make_summed,
)


def make_elan(builder: LayerBuilder, stub: ModuleStub) -> Program:
    """RepNCSPELAN4 and ELAN1: two branches in a row, each of which is kept and joined."""
    first, last = builder.child(stub, "cv1"), builder.child(stub, "cv4")
    branches = [builder.child(stub, name) for name in ("cv2", "cv3")]

    return lambda x: last(kept_and_joined(ops.split(first(x), 2, axis=-1), branches))


def make_a_conv(builder: LayerBuilder, stub: ModuleStub) -> Program:
    """AConv: the mean of each 2 x 2 pixels, then a convolution with a stride."""
    return sequence([_means, builder.child(stub, "cv1")])


def make_a_down(builder: LayerBuilder, stub: ModuleStub) -> Program:
    """ADown: as AConv for one half of the channels, and the largest of each 3 x 3 pixels for the other."""
    cv1, cv2 = builder.child(stub, "cv1"), builder.child(stub, "cv2")
    largest = max_pool((3, 3), (2, 2), (1, 1))

    def run(x: Any) -> Any:
        convolved, pooled = ops.split(_means(x), 2, axis=-1)
        return joined([cv1(convolved), cv2(largest(pooled))])

    return run


def make_spp_elan(builder: LayerBuilder, stub: ModuleStub) -> Program:
    """SPPELAN: pooling three times over, each kept and joined."""
    first, last = builder.child(stub, "cv1"), builder.child(stub, "cv5")
    pools = [builder.child(stub, name) for name in ("cv2", "cv3", "cv4")]

    return lambda x: last(kept_and_joined([first(x)], pools))


def _means(x: Any) -> Any:
    return ops.average_pool(x, 2, strides=1, padding="valid")


YOLOV9_BLOCKS: dict[str, Maker] = {
    "AConv": make_a_conv,
    "ADown": make_a_down,
    "ELAN1": make_elan,
    "RepBottleneck": make_bottleneck,
    "RepCSP": make_c3,
    "RepConv": make_summed,
    "RepNCSPELAN4": make_elan,
    "SPPELAN": make_spp_elan,
}
