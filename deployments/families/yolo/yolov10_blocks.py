"""The blocks of YOLOv10, rebuilt in Keras from the stubs of a checkpoint.

As in ultralytics `nn/modules/block.py` (Wang et al. 2024, arXiv:2405.14458).
"""

from typing import Any

from keras import ops

from deployments.checkpoints import ModuleStub
from deployments.families.yolo.torch_layers import LayerBuilder, Maker, Program, sequence
from deployments.families.yolo.yolo_blocks import joined, make_c2f, residual


def make_psa(builder: LayerBuilder, stub: ModuleStub) -> Program:
    """PSA of YOLOv10: attention and a feed-forward part over one half of the channels."""
    cv1, cv2 = builder.child(stub, "cv1"), builder.child(stub, "cv2")
    inner = sequence([residual(builder.child(stub, name), True) for name in ("attn", "ffn")])

    def run(x: Any) -> Any:
        passed, attended = ops.split(cv1(x), 2, axis=-1)
        return cv2(joined([passed, inner(attended)]))

    return run


def make_sc_down(builder: LayerBuilder, stub: ModuleStub) -> Program:
    """SCDown of YOLOv10: channels first, then a depthwise convolution with a stride."""
    return sequence([builder.child(stub, "cv1"), builder.child(stub, "cv2")])


def make_cib(builder: LayerBuilder, stub: ModuleStub) -> Program:
    """CIB of YOLOv10: depthwise and pointwise convolutions in turn."""
    return residual(builder.child(stub, "cv1"), stub.flag("add"))


def make_rep_vgg_dw(builder: LayerBuilder, stub: ModuleStub) -> Program:
    """RepVGGDW of YOLOv10: two depthwise convolutions of two sizes, added; one where `fuse()` has joined them."""
    branches = [builder.child(stub, name) for name in ("conv", "conv1") if name in stub.children]
    act = builder.child(stub, "act")
    return lambda x: act(sum(branch(x) for branch in branches))


YOLOV10_BLOCKS: dict[str, Maker] = {
    "C2fCIB": make_c2f,
    "CIB": make_cib,
    "PSA": make_psa,
    "RepVGGDW": make_rep_vgg_dw,
    "SCDown": make_sc_down,
}
