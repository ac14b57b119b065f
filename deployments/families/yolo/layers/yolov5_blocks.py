"""Blocks that only YOLOv5 has, in its configurations of `models/hub` and in those of its users, rebuilt in Keras.

As in ultralytics/yolov5 `models/common.py` and `models/experimental.py`: Ghost (Han et al. 2020, arXiv:1911.11907),
transformers (Dosovitskiy et al. 2021, arXiv:2010.11929) and crossed convolutions.
"""

from typing import Any

from keras import ops

from deployments.checkpoints import ModuleStub
from deployments.errors import ModelUnavailable
from deployments.families.yolo.layers.attention import attend
from deployments.families.yolo.layers.torch_layers import LayerBuilder, Maker, Program, sequence
from deployments.families.yolo.layers.yolo_blocks import joined, make_bottleneck, make_c3

_MAX_HEADS = 64


def make_ghost_conv(builder: LayerBuilder, stub: ModuleStub) -> Program:
    """GhostConv: half of the channels by a convolution, the other half from those by a cheap one."""
    first, cheap = builder.child(stub, "cv1"), builder.child(stub, "cv2")

    def run(x: Any) -> Any:
        half = first(x)
        return joined([half, cheap(half)])

    return run


def make_ghost_bottleneck(builder: LayerBuilder, stub: ModuleStub) -> Program:
    """GhostBottleneck: two GhostConvs, and a shortcut that may have convolutions of its own."""
    long, short = builder.child(stub, "conv"), builder.child(stub, "shortcut")
    return lambda x: long(x) + short(x)


def make_transformer_block(builder: LayerBuilder, stub: ModuleStub) -> Program:
    """TransformerBlock: all positions see each other; a linear layer of the values is their position."""
    before = builder.child(stub, "conv") if "conv" in stub.children else (lambda x: x)
    positions, layers = builder.child(stub, "linear"), builder.child(stub, "tr")

    def run(x: Any) -> Any:
        x = before(x)
        _, height, width, channels = x.shape
        tokens = ops.reshape(x, (-1, height * width, channels))
        return ops.reshape(layers(tokens + positions(tokens)), (-1, height, width, channels))

    return run


def make_transformer_layer(builder: LayerBuilder, stub: ModuleStub) -> Program:
    """TransformerLayer, on (n, positions, channels): attention and two linear layers, each with its shortcut."""
    projections = [builder.child(stub, name) for name in ("q", "k", "v")]
    attention = builder.child(stub, "ma")
    feed = sequence([builder.child(stub, "fc1"), builder.child(stub, "fc2")])

    def run(x: Any) -> Any:
        x = attention([project(x) for project in projections]) + x
        return feed(x) + x

    return run


def make_multihead_attention(builder: LayerBuilder, stub: ModuleStub) -> Program:
    """torch.nn.MultiheadAttention: takes queries, keys and values, each (n, positions, channels)."""
    heads = stub.integer("num_heads")
    weights, biases = stub.tensor("in_proj_weight").numpy(), stub.tensor("in_proj_bias").numpy()
    channels = len(biases) // 3
    if not 1 <= heads <= _MAX_HEADS or channels % heads or weights.shape != (3 * channels, channels):
        raise ModelUnavailable(f"attention with {heads} heads has projections of shape {weights.shape}")
    matrices = [builder.variable(weights[part * channels : (part + 1) * channels].T) for part in range(3)]
    shifts = [builder.variable(biases[part * channels : (part + 1) * channels]) for part in range(3)]
    out = builder.child(stub, "out_proj")

    def run(tokens: list[Any]) -> Any:
        shape = (-1, tokens[0].shape[1], heads, channels // heads)
        queries, keys, values = (
            ops.reshape(ops.matmul(token, matrix) + shift, shape)
            for token, matrix, shift in zip(tokens, matrices, shifts, strict=True)
        )
        mixed = attend(queries, keys, values, (channels // heads) ** -0.5)
        return out(ops.reshape(mixed, (-1, tokens[0].shape[1], channels)))

    return run


YOLOV5_BLOCKS: dict[str, Maker] = {
    "C3Ghost": make_c3,
    "C3SPP": make_c3,
    "C3TR": make_c3,
    "C3x": make_c3,
    "CrossConv": make_bottleneck,
    "GhostBottleneck": make_ghost_bottleneck,
    "GhostConv": make_ghost_conv,
    "MultiheadAttention": make_multihead_attention,
    "TransformerBlock": make_transformer_block,
    "TransformerLayer": make_transformer_layer,
}
