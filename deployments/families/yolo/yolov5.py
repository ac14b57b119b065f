"""YOLOv5 from the `.pt` files of ultralytics/yolov5, sizes n to x, P5 and P6, also the tags before 6.0.

The head is anchor based: three shapes for each cell, box, objectness and class scores, all through a sigmoid.
Source: ultralytics/yolov5 `models/yolo.py` (decoding), `utils/augmentations.py` (letterbox), `utils/general.py`
(NMS, scaling back). `legacy_worker` reproduces what the old queue worker did, faults included.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from keras import ops
from numpy.typing import NDArray

from deployments.definition import ModelDefinition
from deployments.errors import ModelUnavailable
from deployments.families.contract import Outputs, Prepared, Thresholds
from deployments.families.shared.letterbox import Letterbox
from deployments.families.shared.tensor_ops import best_classes, rows_at
from deployments.families.yolo.layers.torch_layers import LayerBuilder, Program, check_layers, make_conv2d_of
from deployments.families.yolo.layers.yolo_blocks import BLOCKS
from deployments.families.yolo.layers.yolov5_blocks import YOLOV5_BLOCKS
from deployments.families.yolo.yolo_family import YoloFamily, YoloParameters
from deployments.families.yolo.yolo_graph import Head
from deployments.families.yolo.yolo_layout import YoloKind, YoloLayout
from deployments.prediction import Detections

LEGACY_SIZE_PX = 640
LEGACY_LARGE_SIZE_PX = 1280
LEGACY_LARGE_ABOVE_PX = 960
LEGACY_THRESHOLDS = Thresholds(score_threshold=0.1, iou_threshold=0.45, max_detections=1000)

_BOX_AND_OBJECTNESS = 5


class YOLOv5Parameters(YoloParameters):
    """The `parameters` of a YOLOv5 model in YAML."""

    legacy_worker: bool = False
    """Answer as the old worker did: red and blue swapped, a 640 px square or 1280 px above 960 px of height,
    classes suppress each other, threshold 0.1, whole pixels, the worst detection first. For old results only."""


class YOLOv5(YoloFamily):
    """The family of YOLOv5 detectors."""

    kind = YoloKind(
        family="yolov5",
        networks=frozenset(
            f"{package}.{name}"
            for package in ("models.yolo", "yolov5.models.yolo")
            for name in ("Model", "DetectionModel")
        ),
        heads=frozenset({"models.yolo.Detect", "yolov5.models.yolo.Detect"}),
    )
    blocks = BLOCKS | YOLOV5_BLOCKS
    parameters_type = YOLOv5Parameters
    parameters: YOLOv5Parameters

    def __init__(self, definition: ModelDefinition) -> None:
        super().__init__(definition)
        legacy_canvas = (LEGACY_SIZE_PX, LEGACY_SIZE_PX)
        if self.parameters.legacy_worker:
            if self.parameters.shape != "fixed" or self.canvas_px != legacy_canvas:
                raise ModelUnavailable(
                    f"parameters.legacy_worker needs canvas_px {legacy_canvas} and shape 'fixed', "
                    f"got {self.canvas_px} and {self.parameters.shape!r}"
                )
            self.parameters = self.parameters.model_copy(update={"class_agnostic": True})

    def check_head(self, layout: YoloLayout) -> None:
        """The head must have anchors, and one plain convolution for each level."""
        head = layout.head.stub
        levels = len(layout.strides_px)
        branches = head.child("m")
        check_layers(branches, self.blocks)
        shape = (levels, head.integer("na"), 2)
        if head.tensor("anchors").shape != shape or len(branches.children) != levels:
            raise ModelUnavailable(
                f"the head has {len(branches.children)} branches and anchors of shape "
                f"{head.tensor('anchors').shape}, expected {levels} and {shape}"
            )

    def make_head(self, layout: YoloLayout, builder: LayerBuilder) -> Head:
        """Candidates of all levels, the best first."""
        levels = make_levels(layout, builder)
        candidates = self.parameters.candidates

        def head(features: Sequence[Any]) -> tuple[Any, ...]:
            found = [level.scored(feature) for level, feature in zip(levels, features, strict=True)]
            scores = ops.concatenate([rows.scores for rows in found], axis=1)
            top, index = ops.top_k(scores, k=min(candidates, int(scores.shape[1])))
            boxes, classes = _decode_at(levels, found, index)
            return boxes, top, classes

        return head

    def preprocess(self, pixels: NDArray[np.uint8]) -> Prepared[Letterbox]:
        """Letterbox uint8 RGB (height, width, 3); the geometry is a `Letterbox`."""
        if not self.parameters.legacy_worker:
            return super().preprocess(pixels)
        is_large = pixels.shape[0] > LEGACY_LARGE_ABOVE_PX
        size = LEGACY_LARGE_SIZE_PX if is_large else LEGACY_SIZE_PX
        return self.prepare(np.ascontiguousarray(pixels[:, :, ::-1]), (size, size))

    def postprocess(self, outputs: Outputs, geometry: Letterbox, thresholds: Thresholds) -> Detections:
        """NMS, then pixels of the client's image; best first, but worst first as `legacy_worker`.

        The legacy worker had its thresholds built in, so that only the classes of the request count there.
        """
        if not self.parameters.legacy_worker:
            return super().postprocess(outputs, geometry, thresholds)
        fixed = replace(LEGACY_THRESHOLDS, classes=thresholds.classes)
        found = super().postprocess(outputs, geometry, fixed)
        return Detections(
            boxes=np.ascontiguousarray(np.round(found.boxes)[::-1]),
            scores=np.ascontiguousarray(found.scores[::-1]),
            class_ids=np.ascontiguousarray(found.class_ids[::-1]),
            labels=found.labels[::-1],
        )

    def to_image(self, boxes: NDArray[Any], geometry: Letterbox) -> NDArray[np.float32]:
        """Boxes (n, 4) from canvas to image pixels, clipped.

        Unlike its successors YOLOv5 takes the border at half a pixel and one ratio for both axes.
        """
        height, width = geometry.source_px
        canvas_height, canvas_width = geometry.canvas_px
        border = np.array([canvas_width - width * geometry.gain, canvas_height - height * geometry.gain]) / 2
        mapped = (np.asarray(boxes, np.float64).reshape(-1, 4) - np.tile(border, 2)) / geometry.gain
        return np.clip(mapped, 0.0, np.array([width, height] * 2)).astype(np.float32)


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


@dataclass(frozen=True, slots=True)
class Level:
    """One level of the head.

    The checkpoint has one convolution; it is cut in two, so that the many class scores are never copied.
    """

    to_boxes: Program
    to_classes: Program

    anchors_px: NDArray[np.float32]
    """(shapes, 2), width and height in canvas pixels."""

    stride_px: int
    """Canvas pixels per cell."""

    def scored(self, feature: Any) -> ScoredRows:
        """The rows of one feature map (n, height, width, channels): cells in reading order, then anchors."""
        height, width, shapes = int(feature.shape[1]), int(feature.shape[2]), len(self.anchors_px)
        boxes, classes = self.to_boxes(feature), self.to_classes(feature)
        boxes = ops.reshape(boxes, (-1, height * width * shapes, _BOX_AND_OBJECTNESS))
        classes = ops.reshape(classes, (-1, height * width * shapes, int(classes.shape[-1]) // shapes))
        objectness = ops.sigmoid(ops.cast(boxes[..., 4], "float32"))
        scores = objectness * ops.sigmoid(ops.cast(ops.max(classes, axis=-1), "float32"))
        return ScoredRows(boxes, classes, scores, self._grid(height, width))

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


def make_levels(layout: YoloLayout, builder: LayerBuilder) -> list[Level]:
    """The levels of a checked head. Checkpoints keep anchors in strides."""
    anchors = layout.head.stub.tensor("anchors").numpy().astype(np.float32)
    stubs = layout.head.stub.child("m").children.values()
    row = _BOX_AND_OBJECTNESS + layout.class_count
    levels = []
    for stub, shapes, stride_px in zip(stubs, anchors, layout.strides_px, strict=True):
        if stub.class_name != "Conv2d" or stub.integer("out_channels") != row * len(shapes):
            raise ModelUnavailable(
                f"the head's {stub.kind} has {stub.state.get('out_channels')} channels, "
                f"expected {len(shapes)} anchors x (5 + {layout.class_count} classes)"
            )
        channels = np.arange(row * len(shapes)).reshape(len(shapes), row)
        levels.append(
            Level(
                to_boxes=make_conv2d_of(builder, stub, channels[:, :_BOX_AND_OBJECTNESS].ravel()),
                to_classes=make_conv2d_of(builder, stub, channels[:, _BOX_AND_OBJECTNESS:].ravel()),
                anchors_px=shapes * stride_px,
                stride_px=stride_px,
            )
        )
    return levels


def _decode_at(levels: Sequence[Level], found: Sequence[ScoredRows], index: Any) -> tuple[Any, Any]:
    """Boxes (n, k, 4) and classes (n, k) of the rows `index` (n, k), counted through all levels.

    Every level offers a row for every index, and the right one is taken: cheaper than joining the levels,
    as class scores can be hundreds of megabytes.
    """
    boxes: Any = None
    classes: Any = None
    start = 0
    for level, rows in zip(levels, found, strict=True):
        count = len(rows.grid)
        local = ops.clip(index - start, 0, count - 1)
        grid = ops.take(ops.convert_to_tensor(rows.grid), local, axis=0)
        level_boxes = level.decoded(rows_at(rows.boxes, local)[..., :4], grid)
        level_classes = best_classes(rows_at(rows.classes, local))
        if boxes is None:
            boxes, classes = level_boxes, level_classes
        else:
            is_here = index >= start
            boxes = ops.where(ops.expand_dims(is_here, -1), level_boxes, boxes)
            classes = ops.where(is_here, level_classes, classes)
        start += count
    return boxes, classes
