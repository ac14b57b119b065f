"""The blocks of YOLOv10, rebuilt in Keras from the stubs of a checkpoint.

As in ultralytics `nn/modules/block.py` (Wang et al. 2024, arXiv:2405.14458).
"""

from deployments.checkpoints import ModuleStub
from deployments.families.yolo.layers.torch_layers import LayerBuilder, Maker, Program, sequence
from deployments.families.yolo.layers.yolo_blocks import make_c2f, make_psa_block, make_summed, on_one_half, residual


def make_psa(builder: LayerBuilder, stub: ModuleStub) -> Program:
    """PSA of YOLOv10: attention and a feed-forward part over one half of the channels."""
    return on_one_half(builder, stub, make_psa_block(builder, stub))


def make_sc_down(builder: LayerBuilder, stub: ModuleStub) -> Program:
    """SCDown of YOLOv10: channels first, then a depthwise convolution with a stride."""
    return sequence([builder.child(stub, "cv1"), builder.child(stub, "cv2")])


def make_cib(builder: LayerBuilder, stub: ModuleStub) -> Program:
    """CIB of YOLOv10: depthwise and pointwise convolutions in turn."""
    return residual(builder.child(stub, "cv1"), stub.flag("add"))


YOLOV10_BLOCKS: dict[str, Maker] = {
    "C2fCIB": make_c2f,
    "CIB": make_cib,
    "PSA": make_psa,
    "RepVGGDW": make_summed,
    "SCDown": make_sc_down,
}
