"""The anchor-based head of YOLOv5 in the graph: three shapes for each cell, all numbers through a sigmoid.

Source: ultralytics/yolov5 `models/yolo.py` (`Detect`, `Segment`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from keras import ops
from numpy.typing import NDArray

from deployments.checkpoints import ModuleStub
from deployments.errors import ModelUnavailable
from deployments.families.shared.tensor_ops import classes_of_all
from deployments.families.yolo.heads.multi_label import check_pairs
from deployments.families.yolo.layers.torch_layers import LayerBuilder, Program, make_conv2d_of
from deployments.families.yolo.yolo_layout import YoloLayout

_BOX_AND_OBJECTNESS = 5


@dataclass(frozen=True, slots=True)
class ScoredRows:
    """One level of a batch. Each row is one anchor of one cell."""

    boxes: Any
    """(n, rows, 5), x y width height objectness, before the sigmoid."""

    classes: Any
    """(n, rows, classes), before the sigmoid."""

    scores: Any
    """float32 (n, rows), finished."""

    grid: NDArray[np.float32]
    """(rows, 4): x and y of the cell's corner in canvas pixels, width and height of the anchor."""

    masks: Any = None
    """(n, rows, masks), coefficients of the prototypes; None of a head without masks."""

    def scores_of_all(self) -> Any:
        """Those of all classes, float32 (n, rows, classes)."""
        objectness = ops.sigmoid(ops.cast(self.boxes[..., 4:5], "float32"))
        return objectness * ops.sigmoid(ops.cast(self.classes, "float32"))


@dataclass(frozen=True, slots=True)
class Level:
    """One level of the head.

    The checkpoint has one convolution; it is cut in parts, so that the many class scores are never copied.
    """

    to_boxes: Program
    to_classes: Program

    to_masks: Program | None
    """None of a head without masks."""

    anchors_px: NDArray[np.float32]
    """(shapes, 2), width and height in canvas pixels."""

    stride_px: int
    """Canvas pixels per cell."""

    def scored(self, feature: Any) -> ScoredRows:
        """The rows of one feature map (n, height, width, channels): cells in reading order, then anchors."""
        height, width, shapes = int(feature.shape[1]), int(feature.shape[2]), len(self.anchors_px)

        def rows_of(program: Program) -> Any:
            values = program(feature)
            return ops.reshape(values, (-1, height * width * shapes, int(values.shape[-1]) // shapes))

        boxes, classes = rows_of(self.to_boxes), rows_of(self.to_classes)
        masks = None if self.to_masks is None else rows_of(self.to_masks)
        objectness = ops.sigmoid(ops.cast(boxes[..., 4], "float32"))
        scores = objectness * ops.sigmoid(ops.cast(ops.max(classes, axis=-1), "float32"))
        return ScoredRows(boxes, classes, scores, self._grid(height, width), masks)

    def _grid(self, height: int, width: int) -> NDArray[np.float32]:
        y, x = np.mgrid[0:height, 0:width].reshape(2, -1)
        corners = np.repeat(np.stack([x, y], 1) * self.stride_px, len(self.anchors_px), axis=0)
        sizes = np.tile(self.anchors_px, (height * width, 1))
        return np.concatenate([corners, sizes], axis=1).astype(np.float32)

    def decoded(self, raw: Any, grid: Any) -> Any:
        """Raw x y w h (..., 4) and their grid (..., 4) to x1 y1 x2 y2 in canvas pixels."""
        doubled = ops.sigmoid(ops.cast(raw, "float32")) * 2.0
        centres = (doubled[..., :2] - 0.5) * self.stride_px + grid[..., :2]
        half = ops.square(doubled[..., 2:]) * grid[..., 2:] / 2.0
        return ops.concatenate([centres - half, centres + half], axis=-1)


def make_levels(layout: YoloLayout, builder: LayerBuilder, masks: int = 0) -> list[Level]:
    """The levels of a checked head. Checkpoints keep anchors in strides. masks: coefficients of each row."""
    anchors = layout.head.stub.tensor("anchors").numpy().astype(np.float32)
    stubs = layout.head.stub.child("m").children.values()
    last_class = _BOX_AND_OBJECTNESS + layout.class_count
    row = last_class + masks
    levels = []
    for stub, shapes, stride_px in zip(stubs, anchors, layout.strides_px, strict=True):
        if stub.class_name != "Conv2d" or stub.integer("out_channels") != row * len(shapes):
            beside = f" + {masks} masks" if masks else ""
            raise ModelUnavailable(
                f"the head's {stub.kind} has {stub.state.get('out_channels')} channels, "
                f"expected {len(shapes)} anchors x (5 + {layout.class_count} classes{beside})"
            )
        channels = np.arange(row * len(shapes)).reshape(len(shapes), row)

        def part(columns: slice, stub: ModuleStub = stub, channels: NDArray[np.intp] = channels) -> Program:
            return make_conv2d_of(builder, stub, channels[:, columns].ravel())

        levels.append(
            Level(
                to_boxes=part(slice(_BOX_AND_OBJECTNESS)),
                to_classes=part(slice(_BOX_AND_OBJECTNESS, last_class)),
                to_masks=part(slice(last_class, row)) if masks else None,
                anchors_px=shapes * stride_px,
                stride_px=stride_px,
            )
        )
    return levels


def decode(levels: Sequence[Level], found: Sequence[ScoredRows], is_multi_label: bool = False) -> tuple[Any, ...]:
    """Boxes (n, rows, 4), scores (n, rows) and classes (n, rows) of all levels in turn; then coefficients
    (n, rows, masks), if the head has them. is_multi_label: whether scores are those of all classes,
    (n, rows, classes)."""
    offered = [
        (
            level.decoded(rows.boxes[..., :4], rows.grid),
            rows.scores_of_all() if is_multi_label else rows.scores,
            classes_of_all(rows.classes),
            *(() if rows.masks is None else (ops.cast(rows.masks, "float32"),)),
        )
        for level, rows in zip(levels, found, strict=True)
    ]
    joined = [ops.concatenate(parts, axis=1) for parts in zip(*offered, strict=True)]
    if is_multi_label:
        check_pairs(joined[1])
    return tuple(joined)
