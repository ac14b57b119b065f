"""The two attentions of YOLO11 and YOLO12 over image positions, rebuilt in Keras from a checkpoint's stubs.

As in ultralytics `nn/modules/block.py`, `Attention` and `AAttn` (Tian et al. 2025, arXiv:2502.12524). Both run
on (n, height, width, channels); a position's channels are split by head first and into q, k, v second.
"""

from collections.abc import Sequence
from typing import Any

from keras import ops

from deployments.checkpoints import ModuleStub
from deployments.errors import ModelUnavailable
from deployments.families.yolo.layers.torch_layers import LayerBuilder, Program


def make_attention(builder: LayerBuilder, stub: ModuleStub) -> Program:
    """Attention: all positions see each other; values also pass a depthwise convolution."""
    qkv, proj, positional = (builder.child(stub, name) for name in ("qkv", "proj", "pe"))
    heads = stub.integer("num_heads")
    widths = (stub.integer("key_dim"), stub.integer("key_dim"), stub.integer("head_dim"))
    scale = stub.number("scale")

    def run(x: Any) -> Any:
        _, height, width, _ = x.shape
        queries, keys, values = _heads(qkv(x), heads, widths)
        mixed = attend(queries, keys, values, scale)
        shape = (-1, height, width, heads * widths[2])
        return proj(ops.reshape(mixed, shape) + positional(ops.reshape(values, shape)))

    return run


def make_area_attention(builder: LayerBuilder, stub: ModuleStub) -> Program:
    """AAttn: the image is cut into `area` bands of rows, and positions see their own band only."""
    qkv, proj, positional = (builder.child(stub, name) for name in ("qkv", "proj", "pe"))
    heads, each, area = (stub.integer(name) for name in ("num_heads", "head_dim", "area"))

    def run(x: Any) -> Any:
        _, height, width, _ = x.shape
        if area < 1 or height * width % area:
            raise ModelUnavailable(f"area attention cannot cut {height} x {width} positions into {area} equal areas")
        projected = qkv(x)
        bands = ops.reshape(projected, (-1, height * width // area, 1, int(projected.shape[-1])))
        queries, keys, values = _heads(bands, heads, (each, each, each))
        mixed = attend(queries, keys, values, each**-0.5)
        shape = (-1, height, width, heads * each)
        return proj(ops.reshape(mixed, shape) + positional(ops.reshape(values, shape)))

    return run


def _heads(x: Any, heads: int, widths: Sequence[int]) -> tuple[Any, Any, Any]:
    """(n, h, w, heads * sum(widths)) to three tensors (n, h * w, heads, width)."""
    positions = int(x.shape[1]) * int(x.shape[2])
    if int(x.shape[-1]) != heads * sum(widths):
        raise ModelUnavailable(f"attention has {x.shape[-1]} channels, expected {heads} x {sum(widths)}")
    x = ops.reshape(x, (-1, positions, heads, sum(widths)))
    first, second = widths[0], widths[0] + widths[1]
    return x[..., :first], x[..., first:second], x[..., second:]


def attend(queries: Any, keys: Any, values: Any, scale: float) -> Any:
    """softmax(q k / scale) v over positions; all (n, positions, heads, width)."""
    logits = ops.matmul(ops.transpose(queries, (0, 2, 1, 3)), ops.transpose(keys, (0, 2, 3, 1)))
    weights = ops.softmax(logits * scale, axis=-1)
    return ops.transpose(ops.matmul(weights, ops.transpose(values, (0, 2, 1, 3))), (0, 2, 1, 3))
