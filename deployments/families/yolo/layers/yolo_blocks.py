"""The building blocks of YOLOv5 to YOLO12 and of YOLO26, rebuilt in Keras from the stubs of a checkpoint.

What each computes is defined by `models/common.py` of ultralytics/yolov5
and `nn/modules/block.py` of ultralytics; sizes, shortcuts and repeats come from the checkpoint's own modules.
"""

from collections.abc import Iterable
from typing import Any

from keras import ops

from deployments.checkpoints import ModuleStub
from deployments.errors import ModelUnavailable
from deployments.families.yolo.layers.attention import make_area_attention, make_attention
from deployments.families.yolo.layers.torch_layers import (
    LAYERS,
    LayerBuilder,
    Maker,
    Program,
    batch_norm_affine,
    sequence,
)
from deployments.families.yolo.layers.torch_sizes import SIZE_LAYERS


def joined(parts: list[Any]) -> Any:
    """One after the other along the channels."""
    return ops.concatenate(parts, axis=-1)


def residual(program: Program, is_added: bool) -> Program:
    """`program`, to whose result its input is added."""
    return (lambda x: x + program(x)) if is_added else program


def kept_and_joined(parts: list[Any], programs: Iterable[Program]) -> Any:
    """`parts`, and what each program makes of the one before it, the first of the last of `parts`; all joined."""
    parts = list(parts)
    for program in programs:
        parts.append(program(parts[-1]))
    return joined(parts)


def make_summed(builder: LayerBuilder, stub: ModuleStub) -> Program:
    """RepConv and RepVGGDW: convolutions of two sizes, added; one where `fuse()` has joined them."""
    if "bn" in stub.children:
        raise ModelUnavailable(
            f"a {stub.class_name} has a batch norm beside its convolutions, which is not supported"
        )
    branches = [builder.child(stub, name) for name in ("conv", "conv1", "conv2") if name in stub.children]
    act = builder.child(stub, "act")
    return lambda x: act(sum(branch(x) for branch in branches))


def make_concat(builder: LayerBuilder, stub: ModuleStub) -> Program:
    """Concat along the channels; takes a list of tensors."""
    if stub.integer("d", 1) != 1:
        raise ModelUnavailable(f"concatenation along axis {stub.integer('d')} is not supported, expected channels")
    return joined


def make_focus(builder: LayerBuilder, stub: ModuleStub) -> Program:
    """Focus of YOLOv5 before 6.0: every second pixel to channels, then a convolution."""
    conv = builder.child(stub, "conv")
    return lambda x: conv(
        joined([x[:, ::2, ::2], x[:, 1::2, ::2], x[:, ::2, 1::2], x[:, 1::2, 1::2]]),
    )


def make_bottleneck(builder: LayerBuilder, stub: ModuleStub) -> Program:
    """Bottleneck: two convolutions, with or without a shortcut."""
    inner = sequence([builder.child(stub, "cv1"), builder.child(stub, "cv2")])
    return residual(inner, stub.flag("add"))


def make_c3(builder: LayerBuilder, stub: ModuleStub) -> Program:
    """C3 and C3k: a deep and a shallow branch, joined."""
    cv1, cv2, cv3, inner = (builder.child(stub, name) for name in ("cv1", "cv2", "cv3", "m"))
    return lambda x: cv3(joined([inner(cv1(x)), cv2(x)]))


def make_bottleneck_csp(builder: LayerBuilder, stub: ModuleStub) -> Program:
    """BottleneckCSP of YOLOv5 before 4.0: its batch norm follows a concatenation, so it cannot be folded."""
    cv1, cv2, cv3, cv4, inner, act = (builder.child(stub, name) for name in ("cv1", "cv2", "cv3", "cv4", "m", "act"))
    scale, shift = (builder.variable(values) for values in batch_norm_affine(stub.child("bn")))
    return lambda x: cv4(act(joined([cv3(inner(cv1(x))), cv2(x)]) * scale + shift))


def make_c2f(builder: LayerBuilder, stub: ModuleStub) -> Program:
    """C2f and C3k2: every inner block's output is kept and joined."""
    cv1, cv2 = builder.child(stub, "cv1"), builder.child(stub, "cv2")
    blocks = builder.all_children(stub, "m")

    return lambda x: cv2(kept_and_joined(ops.split(cv1(x), 2, axis=-1), blocks))


def make_c2(builder: LayerBuilder, stub: ModuleStub) -> Program:
    """C2 of the P6 networks: blocks on one half of the channels."""
    cv1, cv2, inner = (builder.child(stub, name) for name in ("cv1", "cv2", "m"))

    def run(x: Any) -> Any:
        worked, passed = ops.split(cv1(x), 2, axis=-1)
        return cv2(joined([inner(worked), passed]))

    return run


def make_spp(builder: LayerBuilder, stub: ModuleStub) -> Program:
    """SPP: pooling at several sizes side by side."""
    cv1, cv2 = builder.child(stub, "cv1"), builder.child(stub, "cv2")
    pools = builder.all_children(stub, "m")

    def run(x: Any) -> Any:
        x = cv1(x)
        return cv2(joined([x, *(pool(x) for pool in pools)]))

    return run


def make_sppf(builder: LayerBuilder, stub: ModuleStub) -> Program:
    """SPPF: one pooling several times over; newer releases store how often, and whether x is added."""
    cv1, cv2, pool = (builder.child(stub, name) for name in ("cv1", "cv2", "m"))
    times = stub.integer("n", 3)

    if not 1 <= times <= 16:
        raise ModelUnavailable(f"an SPPF pools {times} times, expected 1 to 16")
    return residual(lambda x: cv2(kept_and_joined([cv1(x)], [pool] * times)), stub.flag("add"))


def make_psa_block(builder: LayerBuilder, stub: ModuleStub) -> Program:
    """PSABlock: attention, then a feed-forward part, each with its shortcut."""
    is_added = stub.flag("add", True)
    return sequence([residual(builder.child(stub, name), is_added) for name in ("attn", "ffn")])


def make_c2psa(builder: LayerBuilder, stub: ModuleStub) -> Program:
    """C2PSA: attention over one half of the channels."""
    return on_one_half(builder, stub, builder.child(stub, "m"))


def on_one_half(builder: LayerBuilder, stub: ModuleStub, inner: Program) -> Program:
    """`inner` on the second half of the channels, between the convolutions `cv1` and `cv2`."""
    cv1, cv2 = builder.child(stub, "cv1"), builder.child(stub, "cv2")

    def run(x: Any) -> Any:
        passed, attended = ops.split(cv1(x), 2, axis=-1)
        return cv2(joined([passed, inner(attended)]))

    return run


def make_area_block(builder: LayerBuilder, stub: ModuleStub) -> Program:
    """ABlock of YOLO12: area attention and a feed-forward part, both with shortcuts."""
    return sequence([residual(builder.child(stub, name), True) for name in ("attn", "mlp")])


def make_a2c2f(builder: LayerBuilder, stub: ModuleStub) -> Program:
    """A2C2f of YOLO12: like C2f without the split; where it has a gamma, the input is added."""
    cv1, cv2 = builder.child(stub, "cv1"), builder.child(stub, "cv2")
    blocks = builder.all_children(stub, "m")
    gamma = stub.find_tensor("gamma")
    scale = None if gamma is None else builder.variable(gamma.numpy())

    def run(x: Any) -> Any:
        y = cv2(kept_and_joined([cv1(x)], blocks))
        return y if scale is None else x + scale * y

    return run


BLOCKS: dict[str, Maker] = {
    **LAYERS,
    **SIZE_LAYERS,
    "Concat": make_concat,
    "Focus": make_focus,
    "Bottleneck": make_bottleneck,
    "BottleneckCSP": make_bottleneck_csp,
    "C3": make_c3,
    "C3k": make_c3,
    "C2": make_c2,
    "C2f": make_c2f,
    "C3k2": make_c2f,
    "SPP": make_spp,
    "SPPF": make_sppf,
    "C2PSA": make_c2psa,
    "PSABlock": make_psa_block,
    "Attention": make_attention,
    "A2C2f": make_a2c2f,
    "ABlock": make_area_block,
    "AAttn": make_area_attention,
}
"""Makers of everything that a YOLO backbone and neck may hold."""
