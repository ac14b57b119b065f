"""RT-DETR from the `.pt` files of ultralytics: rtdetr-l and -x, and those with a ResNet.

An image is stretched onto the canvas, and the network answers once for each object, so that nothing is suppressed.
Source: ultralytics 8.4 `models/rtdetr/predict.py`.
"""

import numpy as np
from numpy.typing import NDArray

from deployments.definition import ModelDefinition
from deployments.families.contract import Outputs, Prepared, Thresholds
from deployments.families.shared.definition_checks import (
    NoParameters,
    check_canvas,
    needed_weights,
    read_parameters,
)
from deployments.families.shared.detections import detections_of, rule_of
from deployments.families.shared.nms import best_first
from deployments.families.shared.resize import CanvasGeometry, Resize
from deployments.families.yolo.heads.rtdetr_head import check_rtdetr_head, make_rtdetr_head
from deployments.families.yolo.layers.rtdetr_blocks import RTDETR_BLOCKS
from deployments.families.yolo.layers.yolo_blocks import BLOCKS
from deployments.families.yolo.yolo_checkpoint import YoloCheckpoint
from deployments.families.yolo.yolo_graph import YoloGraph
from deployments.families.yolo.yolo_layout import YoloKind, YoloLayout, labels_of
from deployments.prediction import Detections

DEFAULT_SIZE_PX = 640
STRIDE_PX = 32


class UltralyticsRTDETR:
    """The family of ultralytics RT-DETRs.

    Raises ModelUnavailable when the file, the labels, the canvas or the parameters disagree.
    """

    kind = YoloKind(
        family="ultralytics-rtdetr",
        networks=frozenset({"ultralytics.nn.tasks.RTDETRDetectionModel"}),
        heads=frozenset({"ultralytics.nn.modules.head.RTDETRDecoder", "ultralytics.nn.modules.RTDETRDecoder"}),
        has_levels=False,
    )
    blocks = BLOCKS | RTDETR_BLOCKS

    def __init__(self, definition: ModelDefinition) -> None:
        path = needed_weights(definition, "a checkpoint")
        read_parameters(definition, NoParameters)
        self._checkpoint = YoloCheckpoint(path, self.kind, self.blocks, self._check_head)
        layout = self._checkpoint.layout()
        self.labels: tuple[str, ...] = labels_of(layout, definition.labels, path.name)
        size = layout.train_size_px or DEFAULT_SIZE_PX
        self.canvas_px: tuple[int, int] = definition.canvas_px or (size, size)
        self.input_px = self.canvas_px
        check_canvas(self.canvas_px, STRIDE_PX, path.name)
        self._resize = Resize("stretch", self.canvas_px)

    def build_graph(self) -> YoloGraph:
        """The network with its weights.

        Takes uint8 RGB (n, height, width, 3). Gives boxes float32 (n, k, 4) x1 y1 x2 y2 in parts of the canvas,
        scores float32 (n, k), best first, and classes int32 (n, k).
        """
        return self._checkpoint.build("float32", make_rtdetr_head)

    def preprocess(self, pixels: NDArray[np.uint8]) -> Prepared[CanvasGeometry]:
        """uint8 RGB (height, width, 3) stretched onto the canvas."""
        return Prepared(*self._resize.apply(pixels))

    def postprocess(self, outputs: Outputs, geometry: CanvasGeometry, thresholds: Thresholds) -> Detections:
        """What is wanted of the candidates, in pixels of the client's image; best first. The IoU threshold has no
        effect."""
        boxes, scores, classes = outputs
        height, width = self.canvas_px
        kept = best_first(boxes, scores, classes, rule_of(thresholds, self.labels))
        placed = geometry.to_image(boxes[kept] * np.array([width, height] * 2, np.float32))
        return detections_of(placed, scores[kept], classes[kept], self.labels)

    def _check_head(self, layout: YoloLayout) -> None:
        check_rtdetr_head(layout.head.stub, len(layout.head.sources), self.blocks)
