"""The network of keras-retinanet 0.1: a ResNet-50, a feature pyramid without a 3x3 on P5, two heads.

Source: fizyr/keras-retinanet 0.1 `models/retinanet.py`, `layers/_misc.py`, `backend/common.py` and keras-resnet. It
differs from detectron2's in padding (TensorFlow's `same`), upsampling (bilinear as in TensorFlow 1, so that P3 rests
on the finished P4), anchors (centred in their cells) and mean.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from keras import ops
from numpy.typing import NDArray

from deployments.families.retinanet.keras_retinanet_description import (
    ANCHOR_RATIOS,
    ANCHOR_SCALES,
    BOX_DEVIATIONS,
    NORM_EPSILON,
)
from deployments.families.retinanet.keras_retinanet_layout import KerasRetinaNetLayout, block_name, head_layers
from deployments.families.retinanet.retinanet_blocks import RESNET50_BLOCKS, STRIDES_PX, Bottleneck, grid_anchors
from deployments.families.retinanet.views import Views
from deployments.families.shared.convolution import Convolution, ConvolutionGeometry, variable
from deployments.families.shared.tensor_ops import classes_of_all

PIXEL_MEAN_BGR = (103.939, 116.779, 123.68)
"""What Caffe's networks subtract (keras-retinanet 0.1 `utils/image.py`)."""

_ONE_VIEW = Views(1, None, has_fractions=True)


class KerasRetinaNetGraph:
    """The network; call it inside a compiled function.

    Takes uint8 RGB (n, 2 * (height + 1), width, 3) with any sides: one view with fractions, as `views.draw` lays it
    out.
    """

    def __init__(self, layout: KerasRetinaNetLayout, dtype: str) -> None:
        """Read all weights and build all layers."""
        self._dtype = dtype
        self._class_count = layout.class_count
        make = _Maker(layout, dtype)
        self._stem = make.convolution("conv1", stride=2, pad=3 if layout.has_padded_stem else None)
        self._stages = [
            [make.bottleneck(stage, block) for block in range(blocks)]
            for stage, blocks in enumerate(RESNET50_BLOCKS, 2)
        ]
        self._pyramid = {name: make.convolution(name) for name in ("P5", "C4_reduced", "P4", "C3_reduced", "P3")}
        self._pyramid |= {name: make.convolution(name, stride=2) for name in ("P6", "P7")}
        self._heads = [[make.convolution(name) for name in head_layers(h)] for h in ("classification", "regression")]

    def __call__(self, canvases: Any, training: bool = False) -> tuple[Any, Any, Any]:
        """Every anchor with its best class: boxes float32 (n, k, 4) x1 y1 x2 y2 in canvas pixels, not clipped; scores
        float32 (n, k); classes int32 (n, k)."""
        del training
        levels = self.raw(canvases)
        anchors = np.concatenate(
            [
                grid_anchors((int(maps.shape[1]), int(maps.shape[2])), stride_px, cell_anchors(stride_px), offset=0.5)
                for (maps, _), stride_px in zip(levels, STRIDES_PX, strict=True)
            ]
        )
        logits = _rows([maps for maps, _ in levels], self._class_count)
        deltas = _rows([maps for _, maps in levels], 4)
        boxes = apply_deltas(deltas, ops.convert_to_tensor(anchors))
        return boxes, ops.sigmoid(ops.max(logits, axis=-1)), classes_of_all(logits)

    def raw(self, canvases: Any) -> list[tuple[Any, Any]]:
        """Of P3 to P7, class logits (n, h, w, anchors * classes) and box deltas (n, h, w, anchors * 4)."""
        (pixels,) = _ONE_VIEW.normalized(canvases, PIXEL_MEAN_BGR, self._dtype)
        outputs = []
        for feature in self._features(pixels):
            maps = []
            for *hidden, last in self._heads:
                x = feature
                for layer in hidden:
                    x = ops.relu(layer(x))
                maps.append(last(x))
            outputs.append((maps[0], maps[1]))
        return outputs

    def _features(self, x: Any) -> list[Any]:
        x = ops.max_pool(ops.relu(self._stem(x)), 3, strides=2, padding="same")
        stages = []
        for blocks in self._stages:
            for block in blocks:
                x = block(x)
            stages.append(x)
        _, c3, c4, c5 = stages
        layers = self._pyramid
        p5 = layers["P5"](c5)
        p4 = layers["P4"](enlarged(p5, c4) + layers["C4_reduced"](c4))
        p3 = layers["P3"](enlarged(p4, c3) + layers["C3_reduced"](c3))
        p6 = layers["P6"](c5)
        return [p3, p4, p5, p6, layers["P7"](ops.relu(p6))]


@dataclass(frozen=True, slots=True)
class _Maker:
    layout: KerasRetinaNetLayout
    dtype: str

    def convolution(self, name: str, stride: int = 1, pad: int | None = None) -> Convolution:
        """With its bias; pad: pixels on each side, None for TensorFlow's `same`."""
        kernel = self.layout.read(f"{name}/kernel")
        if name == "conv1" or name.startswith("res"):
            scale, bias = self._norm("bn_conv1" if name == "conv1" else f"bn{name[3:]}")
            kernel = kernel * scale
        else:
            bias = self.layout.read(f"{name}/bias")
        geometry = ConvolutionGeometry((stride, stride), (1, 1), None if pad is None else (pad, pad))
        return Convolution(variable(kernel, self.dtype), variable(bias, self.dtype), geometry)

    def bottleneck(self, stage: int, block: int) -> Bottleneck:
        """Its stride is in the first 1x1 and in the shortcut."""
        name = f"res{block_name(stage, block)}_branch"
        stride = 2 if block == 0 and stage > 2 else 1
        return Bottleneck(
            first=self.convolution(f"{name}2a", stride),
            second=self.convolution(f"{name}2b"),
            third=self.convolution(f"{name}2c"),
            shortcut=self.convolution(f"{name}1", stride) if block == 0 else None,
        )

    def _norm(self, name: str) -> tuple[NDArray[Any], NDArray[Any]]:
        gamma, beta, mean, variance = (
            self.layout.read(f"{name}/{kind}") for kind in ("gamma", "beta", "moving_mean", "moving_variance")
        )
        scale = gamma / np.sqrt(variance + NORM_EPSILON)
        return scale, beta - mean * scale


def enlarged(x: Any, like: Any) -> Any:
    """Bilinear resizing of (n, h, w, c) to the height and width of `like`, as TensorFlow 1 does it by default: the
    first pixels of both lie on each other, not the corners and not the centres."""
    for axis in (1, 2):
        size, target = int(x.shape[axis]), int(like.shape[axis])
        if size == target:
            continue
        place = np.arange(target, dtype=np.float32) * np.float32(size / target)
        low = np.floor(place).astype(np.int32)
        share = (place - low).reshape((-1, 1, 1) if axis == 1 else (-1, 1))
        before = ops.take(x, low, axis=axis)
        after = ops.take(x, np.minimum(low + 1, size - 1), axis=axis)
        x = before + (after - before) * ops.cast(share, before.dtype)
    return x


def cell_anchors(stride_px: int) -> NDArray[np.float32]:
    """The nine anchors around a cell's centre, (9, 4), ratios (height by width) before scales."""
    anchors = []
    for ratio in ANCHOR_RATIOS:
        for scale in ANCHOR_SCALES:
            side = 4 * stride_px * scale
            width, height = side / np.sqrt(ratio), side * np.sqrt(ratio)
            anchors.append([-width / 2, -height / 2, width / 2, height / 2])
    return np.array(anchors, np.float32)


def apply_deltas(deltas: Any, anchors: Any) -> Any:
    """`bbox_transform_inv` of keras-retinanet: (..., 4) dx dy dw dh, in deviations, and anchors to corners."""
    deltas = deltas * np.array(BOX_DEVIATIONS, np.float32)
    size = anchors[..., 2:] - anchors[..., :2]
    centre = anchors[..., :2] + size / 2 + deltas[..., :2] * size
    half = ops.exp(deltas[..., 2:]) * size / 2
    return ops.concatenate([centre - half, centre + half], axis=-1)


def _rows(maps: list[Any], columns: int) -> Any:
    """Maps of all levels to float32 rows, (n, anchors, columns)."""
    counts = [math.prod(level.shape[1:]) // columns for level in maps]
    rows = [
        ops.reshape(ops.cast(level, "float32"), (-1, count, columns))
        for level, count in zip(maps, counts, strict=True)
    ]
    return ops.concatenate(rows, axis=1)
