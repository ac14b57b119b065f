"""Single layers built from stubs: what is not supported is refused by name, and a few results by hand."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deployments.checkpoints import ModuleStub
from deployments.errors import ModelUnavailable
from deployments.families.shared.tensor_ops import best_classes
from deployments.families.yolo.heads.anchor_head import make_levels
from deployments.families.yolo.layers.torch_layers import LayerBuilder, check_layers
from deployments.families.yolo.layers.yolo_blocks import BLOCKS
from deployments.families.yolo.ultralytics import Ultralytics, UltralyticsParameters
from deployments.families.yolo.yolo_layout import Stage, YoloLayout
from deployments.families.yolo.yolov5 import YOLOv5
from tests.deployments.families.yolo.layers.module_stubs import NN, ModuleStubs


@pytest.fixture
def stubs(tmp_path: Path) -> ModuleStubs:
    return ModuleStubs(tmp_path)


def refused(stub: ModuleStub, reason: str) -> None:
    with pytest.raises(ModelUnavailable, match=reason):
        LayerBuilder(BLOCKS).build(stub)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"groups": 2}, r"weights of shape \(8, 4, 3, 3\), expected \(8, 2, 3, 3\)"),
        ({"padding_mode": "reflect"}, "pads with something other than zeros"),
        ({"padding": "same"}, "'padding' of .*Conv2d is not a pair of integers"),
        ({"stride": (1, 1, 1)}, "'stride' of .*Conv2d is not a pair of integers"),
        ({"stride": (-1, 1)}, "'stride' of .*Conv2d is not a pair of integers"),
        ({"dilation": (9999, 1)}, "'dilation' of .*Conv2d is not a pair of integers"),
    ],
)
def test_convolutions_that_are_not_known_are_refused(
    stubs: ModuleStubs, changes: dict[str, Any], reason: str
) -> None:
    refused(stubs.read(stubs.conv(**changes)), reason)


def test_groups_of_several_channels_are_refused(stubs: ModuleStubs) -> None:
    weight = np.ones((8, 2, 3, 3), np.float32)
    refused(stubs.read(stubs.conv(weight, groups=2)), "has 2 groups, expected 1 or one for each channel")


def test_a_conv_without_its_convolution_is_refused(stubs: ModuleStubs) -> None:
    silu = stubs.module(f"{NN}.activation.SiLU")
    refused(stubs.read(stubs.module("models.common.Conv", {"conv": silu, "act": silu})), "expected|stands where")


def test_a_norm_of_other_channels_is_refused(stubs: ModuleStubs) -> None:
    children = {"conv": stubs.conv(), "bn": stubs.norm(5), "act": stubs.module(f"{NN}.activation.SiLU")}
    refused(stubs.read(stubs.module("models.common.Conv", children)), "a batch norm of 5 channels follows 8")


@pytest.mark.parametrize(("size", "stride", "padding"), [(2, 1, 1), (3, 2, 1), (5, 1, 1), (2, 2, 0), (2, 1, 0)])
def test_pooling_that_changes_the_size_pads_on_both_sides(
    stubs: ModuleStubs, size: int, stride: int, padding: int
) -> None:
    pool = stubs.module(f"{NN}.pooling.MaxPool2d", kernel_size=size, stride=stride, padding=padding)
    program = LayerBuilder(BLOCKS).build(stubs.read(pool))
    values = -1 - np.random.default_rng(3).random((1, 7, 8, 2)).astype(np.float32)
    padded = np.pad(values[0], ((padding, padding), (padding, padding), (0, 0)), constant_values=-np.inf)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (size, size), axis=(0, 1))[::stride, ::stride]
    np.testing.assert_array_equal(np.asarray(program(values))[0], windows.max((-1, -2)))


@pytest.mark.parametrize(
    ("size", "stride", "padding", "is_ceiled"),
    [(3, 1, 2, False), (0, 1, 0, False), (2, 0, 0, False), (2, 2, 0, True)],
)
def test_other_pooling_is_refused(stubs: ModuleStubs, size: int, stride: int, padding: int, is_ceiled: bool) -> None:
    pool = stubs.module(
        f"{NN}.pooling.MaxPool2d", kernel_size=size, stride=stride, padding=padding, ceil_mode=is_ceiled
    )
    refused(stubs.read(pool), "max pooling of .* is not supported")


def test_a_norm_by_itself_is_refused(stubs: ModuleStubs) -> None:
    refused(stubs.read(stubs.norm(4)), "unknown layer .*BatchNorm2d; known: ")


def test_joining_along_another_axis_is_refused(stubs: ModuleStubs) -> None:
    refused(stubs.read(stubs.module("models.common.Concat", d=2)), "concatenation along axis 2")


def test_a_pool_repeated_too_often_is_refused(stubs: ModuleStubs) -> None:
    pool = stubs.module(f"{NN}.pooling.MaxPool2d", kernel_size=5, stride=1, padding=2)
    identity = stubs.module(f"{NN}.linear.Identity")
    children = {"cv1": identity, "cv2": identity, "m": pool}
    refused(stubs.read(stubs.module("models.common.SPPF", children, n=1000)), "pools 1000 times, expected 1 to 16")


def attention(stubs: ModuleStubs, kind: str, **attributes: Any) -> Any:
    identity = stubs.module(f"{NN}.linear.Identity")
    children = {"qkv": identity, "proj": identity, "pe": identity}
    return LayerBuilder(BLOCKS).build(
        stubs.read(stubs.module(f"ultralytics.nn.modules.block.{kind}", children, **attributes))
    )


def test_attention_over_other_channels_is_refused(stubs: ModuleStubs) -> None:
    program = attention(stubs, "Attention", num_heads=2, key_dim=2, head_dim=4, scale=0.5)
    with pytest.raises(ModelUnavailable, match="attention has 12 channels, expected 2 x 8"):
        program(np.zeros((1, 4, 4, 12), np.float32))


@pytest.mark.parametrize("area", [0, 3])
def test_areas_that_do_not_divide_are_refused(stubs: ModuleStubs, area: int) -> None:
    program = attention(stubs, "AAttn", num_heads=1, head_dim=4, area=area)
    with pytest.raises(ModelUnavailable, match=f"cannot cut 4 x 4 positions into {area} equal areas"):
        program(np.zeros((1, 4, 4, 12), np.float32))


def test_a_depthwise_convolution_with_several_outputs_a_channel(stubs: ModuleStubs) -> None:
    """Output c * 2 + m is channel c times weight (c, m), as in PyTorch."""
    weight = np.arange(1, 5, dtype=np.float32).reshape(4, 1, 1, 1)
    sizes = {"in_channels": 2, "out_channels": 4, "groups": 2, "kernel_size": (1, 1), "padding": (0, 0)}
    program = LayerBuilder(BLOCKS).build(stubs.read(stubs.conv(weight, **sizes)))
    result = np.asarray(program(np.array([[[[10.0, 100.0]]]], np.float32)))
    np.testing.assert_allclose(result.ravel(), [10, 20, 300, 400])


def test_a_strided_convolution_pads_on_both_sides(stubs: ModuleStubs) -> None:
    """TensorFlow's own padding would pad an even side at its end only."""
    weight = np.ones((1, 1, 3, 3), np.float32)
    sizes = {"in_channels": 1, "out_channels": 1, "stride": (2, 2)}
    program = LayerBuilder(BLOCKS).build(stubs.read(stubs.conv(weight, **sizes)))
    result = np.asarray(program(np.arange(16, dtype=np.float32).reshape(1, 4, 4, 1)))
    np.testing.assert_allclose(result[0, :, :, 0], [[10, 24], [51, 90]])


def test_modules_without_end_are_refused_by_number() -> None:
    """Each of 30 levels holds the next one twice: a thousand million paths through 30 objects."""
    stub = ModuleStub(f"{NN}.container.Sequential")
    for _ in range(30):
        outer = ModuleStub(f"{NN}.container.Sequential")
        outer.state = {"_modules": {"0": stub, "1": stub}}
        stub = outer
    with pytest.raises(ModelUnavailable, match="more than 20000 modules"):
        check_layers(stub, BLOCKS)
    refused(stub, "more than 20000 modules")


def test_the_best_class_is_the_first_of_equals_and_always_a_class() -> None:
    scores = np.array([[1, 5, 5], [-3, -2, -9], [7, 7, 7], [np.nan, 1, np.nan]], np.float32)
    found = np.asarray(best_classes(scores))
    assert found.dtype == np.int32
    np.testing.assert_array_equal(found[:3], [1, 1, 0])
    assert 0 <= found[3] <= 2


def layout_of(head: ModuleStub, strides_px: tuple[int, ...] = (8,)) -> YoloLayout:
    return YoloLayout((), Stage(head, (0,), True), strides_px, class_count=1, names=None, train_size_px=None)


@pytest.mark.parametrize(
    ("children", "reg_max", "reason"),
    [
        (("cv2", "cv3", "one2one_cv2"), 16, "one2one_cv2 of the head has 0 branches"),
        (("cv2", "cv3"), 0, "reg_max is 0, expected 1 to 64"),
        (("cv2", "cv3"), 1000, "reg_max is 1000, expected 1 to 64"),
        (("cv2", "cv3"), 16, "cv2 of the head has 0 branches for 1 levels"),
    ],
)
def test_other_anchor_free_heads_are_refused(
    stubs: ModuleStubs, children: tuple[str, ...], reg_max: int, reason: str
) -> None:
    empty = stubs.module(f"{NN}.container.ModuleList")
    head = stubs.read(
        stubs.module("ultralytics.nn.modules.head.Detect", dict.fromkeys(children, empty), reg_max=reg_max)
    )
    family = Ultralytics.__new__(Ultralytics)
    family.parameters = UltralyticsParameters()
    with pytest.raises(ModelUnavailable, match=reason):
        family.check_head(layout_of(head))


def yolov5_head(stubs: ModuleStubs, channels: int = 18, shapes: int = 3) -> ModuleStub:
    weight = np.ones((channels, 4, 1, 1), np.float32)
    convolution = stubs.conv(weight, out_channels=channels, kernel_size=(1, 1), padding=(0, 0))
    members = stubs.module(f"{NN}.container.ModuleList", {"0": convolution})
    anchors = np.ones((1, shapes, 2), np.float32)
    return stubs.read(stubs.module("models.yolo.Detect", {"m": members}, na=3, anchors=anchors))


def test_anchors_that_are_not_those_of_the_head_are_refused(stubs: ModuleStubs) -> None:
    layout = layout_of(yolov5_head(stubs, shapes=5))
    with pytest.raises(ModelUnavailable, match=r"anchors of shape \(1, 5, 2\), expected 1 and \(1, 3, 2\)"):
        YOLOv5.check_head(YOLOv5.__new__(YOLOv5), layout)


def test_an_anchor_head_of_other_channels_is_refused(stubs: ModuleStubs) -> None:
    layout = layout_of(yolov5_head(stubs, channels=20))
    with pytest.raises(ModelUnavailable, match=r"has 20 channels, expected 3 anchors x \(5 \+ 1 classes\)"):
        make_levels(layout, LayerBuilder(BLOCKS))
