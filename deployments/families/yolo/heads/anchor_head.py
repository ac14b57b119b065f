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
from deployments.families.shared.tensor_ops import best_classes, rows_at
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


def decode_at(levels: Sequence[Level], found: Sequence[ScoredRows], index: Any) -> tuple[Any, ...]:
    """Boxes (n, k, 4) and classes (n, k) of the rows `index` (n, k), counted through all levels; then coefficients
    (n, k, masks), if the head has them.

    Every level offers a row for every index, and the right one is taken: cheaper than joining the levels,
    as class scores can be hundreds of megabytes.
    """
    chosen: tuple[Any, ...] = ()
    start = 0
    for level, rows in zip(levels, found, strict=True):
        count = len(rows.grid)
        local = ops.clip(index - start, 0, count - 1)
        grid = ops.take(ops.convert_to_tensor(rows.grid), local, axis=0)
        boxes = level.decoded(rows_at(rows.boxes, local)[..., :4], grid)
        offered: tuple[Any, ...] = (boxes, best_classes(rows_at(rows.classes, local)))
        if rows.masks is not None:
            offered = (*offered, ops.cast(rows_at(rows.masks, local), "float32"))
        if not chosen:
            chosen = offered
        else:
            is_here = index >= start
            chosen = tuple(
                ops.where(is_here if len(new.shape) == 2 else ops.expand_dims(is_here, -1), new, old)
                for new, old in zip(offered, chosen, strict=True)
            )
        start += count
    return chosen
