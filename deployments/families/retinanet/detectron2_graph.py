"""RetinaNet with a ResNet-50 and a feature pyramid, in Keras, from named weights in PyTorch's layout.

The network is that of detectron2 (`modeling/backbone/resnet.py`, `fpn.py`, `meta_arch/retinanet.py`; Lin et al. 2017,
arXiv:1708.02002): stride in the 1x1, frozen batch norm, P6 from C5.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from keras import ops
from numpy.typing import NDArray

from deployments.errors import ModelUnavailable
from deployments.families.retinanet.retinanet_blocks import RESNET50_BLOCKS, STRIDES_PX, Bottleneck, grid_anchors
from deployments.families.retinanet.views import Views
from deployments.families.shared.convolution import Convolution, ConvolutionGeometry, dense_convolution
from deployments.families.shared.tensor_ops import rows_at

PIXEL_MEAN_BGR = (103.53, 116.28, 123.675)
CANDIDATES_A_LEVEL = 1000

_NORM_EPSILON = 1e-5
_LARGEST_LOG_GROWTH = float(np.log(1000.0 / 16))

ReadTensor = Callable[[str], NDArray[Any]]
"""A tensor of the checkpoint by its name. Raises ModelUnavailable when it is missing."""


@dataclass(frozen=True, slots=True)
class RetinaNetWeights:
    """Makes layers from named tensors."""

    read: ReadTensor

    dtype: str
    """Of weights and arithmetic."""

    def convolution(self, name: str, stride: int = 1) -> Convolution:
        """The convolution `name` with its bias or its frozen batch norm folded in; padding keeps the size."""
        weight = self.read(f"{name}.weight").astype(np.float64)
        if weight.ndim != 4:
            raise ModelUnavailable(f"{name}.weight has shape {weight.shape}, expected four dimensions")
        if name.startswith("backbone.bottom_up."):
            scale, shift = self._norm(f"{name}.norm")
            weight, bias = weight * scale[:, None, None, None], shift
        else:
            bias = self.read(f"{name}.bias")
        size = (int(weight.shape[2]), int(weight.shape[3]))
        geometry = ConvolutionGeometry.of(size, (stride, stride), (size[0] // 2, size[1] // 2))
        return dense_convolution(weight, bias, geometry, self.dtype)

    def _norm(self, name: str) -> tuple[NDArray[Any], NDArray[Any]]:
        gamma, beta, mean, variance = (
            self.read(f"{name}.{part}").astype(np.float64)
            for part in ("weight", "bias", "running_mean", "running_var")
        )
        scale = gamma / np.sqrt(variance + _NORM_EPSILON)
        return scale, beta - mean * scale


class RetinaNetGraph:
    """The network; call it inside a compiled function.

    Takes uint8 RGB canvases (n, rows, columns, 3) with one or more views, as `views.draw` lays them out; the
    sides of each view a multiple of 32.
    """

    def __init__(self, weights: RetinaNetWeights, class_count: int, views: Views) -> None:
        """Build all layers. class_count: how many of the head's classes are used. Raises ModelUnavailable."""
        self._dtype = weights.dtype
        self._views = views
        self._class_count = class_count
        self._stem = weights.convolution("backbone.bottom_up.stem.conv1", stride=2)
        self._stages = [_stage(weights, stage, count) for stage, count in enumerate(RESNET50_BLOCKS, 2)]
        self._lateral = [weights.convolution(f"backbone.fpn_lateral{level}") for level in (3, 4, 5)]
        self._output = [weights.convolution(f"backbone.fpn_output{level}") for level in (3, 4, 5)]
        self._top = [weights.convolution(f"backbone.top_block.{name}", stride=2) for name in ("p6", "p7")]
        self._class_net = [weights.convolution(f"head.cls_subnet.{index}") for index in (0, 2, 4, 6)]
        self._box_net = [weights.convolution(f"head.bbox_subnet.{index}") for index in (0, 2, 4, 6)]
        self._to_classes = weights.convolution("head.cls_score")
        self._to_boxes = weights.convolution("head.bbox_pred")

    def __call__(self, canvases: Any, training: bool = False) -> tuple[Any, Any, Any, Any]:
        """Boxes float32 (n, k, 4) x1 y1 x2 y2 in pixels of their view, scores float32 (n, k), classes int32 (n, k)
        and the number of the view, int32 (n, k).

        The best 1000 pairs of anchor and class of each level, so an anchor may come with several classes.
        """
        del training
        levels = [
            (*_best(classes, boxes, stride_px, self._class_count), view)
            for view, maps in enumerate(self.raw(canvases))
            for (classes, boxes), stride_px in zip(maps, STRIDES_PX, strict=True)
        ]
        views = [ops.full_like(classes, view) for *_, classes, view in levels]
        boxes, scores, classes = (ops.concatenate(parts, axis=1) for parts in list(zip(*levels, strict=True))[:3])
        return boxes, scores, classes, ops.concatenate(views, axis=1)

    def raw(self, canvases: Any) -> list[list[tuple[Any, Any]]]:
        """Of each view, P3 to P7: class logits (n, h, w, anchors * classes), box deltas (n, h, w, anchors * 4)."""
        return [self._maps(view) for view in self._views.normalized(canvases, PIXEL_MEAN_BGR, self._dtype)]

    def _maps(self, view: Any) -> list[tuple[Any, Any]]:
        outputs = []
        for feature in self._pyramid(view):
            classes, boxes = feature, feature
            for class_layer, box_layer in zip(self._class_net, self._box_net, strict=True):
                classes, boxes = ops.relu(class_layer(classes)), ops.relu(box_layer(boxes))
            outputs.append((self._to_classes(classes), self._to_boxes(boxes)))
        return outputs

    def _pyramid(self, x: Any) -> list[Any]:
        x = ops.pad(ops.relu(self._stem(x)), [[0, 0], [1, 1], [1, 1], [0, 0]])
        x = ops.max_pool(x, 3, strides=2, padding="valid")
        stages = []
        for blocks in self._stages:
            for block in blocks:
                x = block(x)
            stages.append(x)
        merged = self._lateral[2](stages[3])
        features = [self._output[2](merged)]
        for index in (1, 0):
            merged = self._lateral[index](stages[index + 1]) + ops.repeat(ops.repeat(merged, 2, axis=1), 2, axis=2)
            features.insert(0, self._output[index](merged))
        p6 = self._top[0](stages[3])
        return [*features, p6, self._top[1](ops.relu(p6))]


def _stage(weights: RetinaNetWeights, stage: int, count: int) -> list[Bottleneck]:
    blocks = []
    for index in range(count):
        name = f"backbone.bottom_up.res{stage}.{index}"
        stride = 2 if index == 0 and stage > 2 else 1
        blocks.append(
            Bottleneck(
                first=weights.convolution(f"{name}.conv1", stride),
                second=weights.convolution(f"{name}.conv2"),
                third=weights.convolution(f"{name}.conv3"),
                shortcut=weights.convolution(f"{name}.shortcut", stride) if index == 0 else None,
            )
        )
    return blocks


def cell_anchors(stride_px: int) -> NDArray[np.float32]:
    """The nine anchors of a cell around its corner, (9, 4): width and height 4 strides and two thirds more."""
    anchors = []
    for size in (4 * stride_px * 2 ** (step / 3) for step in range(3)):
        for ratio in (0.5, 1.0, 2.0):
            width = np.sqrt(size * size / ratio)
            anchors.append([-width / 2, -ratio * width / 2, width / 2, ratio * width / 2])
    return np.array(anchors, np.float32)


def _best(class_logits: Any, deltas: Any, stride_px: int, class_count: int) -> tuple[Any, Any, Any]:
    """The best pairs of one level. Only anchors with one of the best maxima can hold one of them."""
    _, height, width, channels = class_logits.shape
    anchors = grid_anchors((int(height), int(width)), stride_px, cell_anchors(stride_px), offset=0.0)
    shape = (-1, len(anchors), int(channels) * int(height) * int(width) // len(anchors))
    logits = ops.reshape(class_logits, shape)[..., :class_count]
    count = min(CANDIDATES_A_LEVEL, len(anchors))
    _, rows = ops.top_k(ops.cast(ops.max(logits, axis=-1), "float32"), k=count)
    pairs = ops.reshape(ops.cast(rows_at(logits, rows), "float32"), (-1, count * class_count))
    best, index = ops.top_k(pairs, k=min(CANDIDATES_A_LEVEL, count * class_count))
    row = ops.take_along_axis(rows, index // class_count, axis=1)
    chosen = ops.cast(rows_at(ops.reshape(deltas, (-1, len(anchors), 4)), row), "float32")
    boxes = apply_deltas(chosen, ops.take(ops.convert_to_tensor(anchors), row, axis=0))
    return boxes, ops.sigmoid(best), ops.cast(index % class_count, "int32")


def apply_deltas(deltas: Any, anchors: Any) -> Any:
    """Box2BoxTransform of detectron2 with weights of one: (..., 4) dx dy dw dh and anchors to corners."""
    size = anchors[..., 2:] - anchors[..., :2]
    centre = anchors[..., :2] + size / 2 + deltas[..., :2] * size
    half = ops.exp(ops.minimum(deltas[..., 2:], _LARGEST_LOG_GROWTH)) * size / 2
    return ops.concatenate([centre - half, centre + half], axis=-1)


def used_tensors(names: Mapping[str, Sequence[int]]) -> tuple[int, int]:
    """Anchors of a cell and classes of the head, from the shapes of the last layers.

    Raises ModelUnavailable when the tensors are not those of a RetinaNet.
    """
    boxes, classes = names.get("head.bbox_pred.weight"), names.get("head.cls_score.weight")
    if not boxes or not classes or boxes[0] % 4 or classes[0] % max(boxes[0] // 4, 1):
        raise ModelUnavailable(
            "not a RetinaNet of detectron2: no head.cls_score and head.bbox_pred that fit together"
        )
    anchors = boxes[0] // 4
    return anchors, classes[0] // anchors
