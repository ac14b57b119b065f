"""The blocks of RT-DETR as ultralytics has them, rebuilt in Keras from the stubs of a checkpoint.

As in its `nn/modules/block.py`, `conv.py` and `transformer.py` (Zhao et al. 2023, arXiv:2304.08069): the backbones
HGNetv2 and ResNet, the neck, and AIFI, attention over the smallest feature map. RT-DETR's head is in `heads/`.
"""

from typing import Any

import numpy as np
from keras import ops
from numpy.typing import NDArray

from deployments.checkpoints import ModuleStub
from deployments.errors import ModelUnavailable
from deployments.families.yolo.layers.torch_layers import LayerBuilder, Maker, Program, pair_of, sequence
from deployments.families.yolo.layers.torch_sizes import max_pool
from deployments.families.yolo.layers.yolo_blocks import joined, kept_and_joined, make_summed, residual
from deployments.families.yolo.layers.yolov5_blocks import make_multihead_attention

_TEMPERATURE = 10_000.0


def make_hg_stem(builder: LayerBuilder, stub: ModuleStub) -> Program:
    """HGStem: a branch of two convolutions and one that pools, both padded at the right and at the bottom."""
    first, before, after = (builder.child(stub, name) for name in ("stem1", "stem2a", "stem2b"))
    last = sequence([builder.child(stub, "stem3"), builder.child(stub, "stem4")])
    pool = [pair_of(stub.child("pool"), name) for name in ("kernel_size", "stride", "padding")]
    if pool != [(2, 2), (1, 1), (0, 0)]:
        raise ModelUnavailable(f"{stub.kind} pools in another way than by 2 x 2 with stride 1")
    pooled = max_pool((2, 2), (1, 1), (0, 0))

    def run(x: Any) -> Any:
        x = _padded(first(x))
        return last(joined([pooled(x), after(_padded(before(x)))]))

    return run


def _padded(x: Any) -> Any:
    return ops.pad(x, ((0, 0), (0, 1), (0, 1), (0, 0)))


def make_hg_block(builder: LayerBuilder, stub: ModuleStub) -> Program:
    """HGBlock: the input and what each convolution makes of the one before, joined and squeezed."""
    blocks = builder.all_children(stub, "m")
    squeeze = sequence([builder.child(stub, "sc"), builder.child(stub, "ec")])
    return residual(lambda x: squeeze(kept_and_joined([x], blocks)), stub.flag("add"))


def make_light_conv(builder: LayerBuilder, stub: ModuleStub) -> Program:
    """LightConv: channels first, then each by itself."""
    return sequence([builder.child(stub, "conv1"), builder.child(stub, "conv2")])


def make_rep_c3(builder: LayerBuilder, stub: ModuleStub) -> Program:
    """RepC3: a deep and a shallow branch, added."""
    cv1, cv2, cv3, inner = (builder.child(stub, name) for name in ("cv1", "cv2", "cv3", "m"))
    return lambda x: cv3(inner(cv1(x)) + cv2(x))


def make_resnet_block(builder: LayerBuilder, stub: ModuleStub) -> Program:
    """ResNetBlock: three convolutions and a shortcut that may have one of its own."""
    long = sequence([builder.child(stub, name) for name in ("cv1", "cv2", "cv3")])
    short = builder.child(stub, "shortcut")
    return lambda x: ops.relu(long(x) + short(x))


def make_resnet_layer(builder: LayerBuilder, stub: ModuleStub) -> Program:
    """ResNetLayer: its blocks one after the other."""
    return builder.child(stub, "layer")


def make_layer_norm(builder: LayerBuilder, stub: ModuleStub) -> Program:
    """torch.nn.LayerNorm over the channels, which are last."""
    weight, bias = stub.tensor("weight").numpy(), stub.tensor("bias").numpy()
    if weight.ndim != 1 or bias.shape != weight.shape:
        raise ModelUnavailable(f"{stub.kind} has weights of shape {weight.shape} and a bias of {bias.shape}")
    scale, shift, least = builder.variable(weight), builder.variable(bias), stub.number("eps")

    def run(x: Any) -> Any:
        mean = ops.mean(x, axis=-1, keepdims=True)
        spread = ops.mean(ops.square(x - mean), axis=-1, keepdims=True)
        return (x - mean) / ops.sqrt(spread + least) * scale + shift

    return run


def make_nothing(builder: LayerBuilder, stub: ModuleStub) -> Program:
    """What only a training does, such as torch.nn.Dropout."""
    return lambda x: x


def make_mlp(builder: LayerBuilder, stub: ModuleStub) -> Program:
    """MLP: linear layers, with an activation between them."""
    norm = stub.children.get("out_norm")
    if stub.flag("sigmoid") or stub.flag("residual") or not (norm is None or norm.class_name == "Identity"):
        raise ModelUnavailable(f"{stub.kind} with a sigmoid, a shortcut or a norm is not supported")
    layers = builder.all_children(stub, "layers")
    act = builder.child(stub, "act") if "act" in stub.children else ops.relu
    steps = [step for layer in layers for step in (layer, act)][:-1]
    return sequence(steps)


def make_aifi(builder: LayerBuilder, stub: ModuleStub) -> Program:
    """AIFI: all positions see each other, then two linear layers; each has a shortcut and is normalised after it."""
    if stub.flag("normalize_before"):
        raise ModelUnavailable(f"{stub.kind} normalises before its layers, which is not supported")
    attention, norm1, norm2 = (builder.child(stub, name) for name in ("ma", "norm1", "norm2"))
    feed = sequence([builder.child(stub, name) for name in ("fc1", "act", "fc2")])

    def run(x: Any) -> Any:
        _, height, width, channels = x.shape
        tokens = ops.reshape(x, (-1, height * width, channels))
        placed = tokens + ops.cast(positions(int(height), int(width), int(channels)), x.dtype)
        tokens = norm1(tokens + attention([placed, placed, tokens]))
        return ops.reshape(norm2(tokens + feed(tokens)), (-1, height, width, channels))

    return run


def positions(height: int, width: int, channels: int) -> NDArray[np.float32]:
    """Sines and cosines of the rows, then of the columns, (1, height * width, channels)."""
    if channels % 4:
        raise ModelUnavailable(f"{channels} channels cannot hold positions, expected a multiple of 4")
    quarter = channels // 4
    frequencies = 1.0 / _TEMPERATURE ** (np.arange(quarter, dtype=np.float32) / quarter)
    rows, columns = (grid.reshape(-1, 1) * frequencies for grid in np.mgrid[0:height, 0:width].astype(np.float32))
    parts = [np.sin(rows), np.cos(rows), np.sin(columns), np.cos(columns)]
    return np.concatenate(parts, axis=1)[None].astype(np.float32)


RTDETR_BLOCKS: dict[str, Maker] = {
    "AIFI": make_aifi,
    "Dropout": make_nothing,
    "HGBlock": make_hg_block,
    "HGStem": make_hg_stem,
    "LayerNorm": make_layer_norm,
    "LightConv": make_light_conv,
    "MLP": make_mlp,
    "MultiheadAttention": make_multihead_attention,
    "RepC3": make_rep_c3,
    "RepConv": make_summed,
    "ResNetBlock": make_resnet_block,
    "ResNetLayer": make_resnet_layer,
}
