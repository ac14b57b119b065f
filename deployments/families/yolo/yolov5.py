"""YOLOv5 from the `.pt` files of ultralytics/yolov5, sizes n to x, P5 and P6, also the tags before 6.0.

The head is anchor based (`heads/anchor_head.py`); that of a `-seg.pt` gives masks too. Source: ultralytics/yolov5
`utils/augmentations.py` (letterbox), `utils/general.py` (NMS, scaling back). `legacy_worker` reproduces what the old
queue worker did, faults included.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deployments.definition import ModelDefinition
from deployments.errors import ModelUnavailable
from deployments.families.contract import Outputs, Prepared, Thresholds
from deployments.families.shared.float_pixels import with_fractions
from deployments.families.shared.letterbox import Letterbox, float_letterbox
from deployments.families.shared.tensor_ops import with_fractions_added
from deployments.families.yolo.heads.anchor_head import decode, make_levels
from deployments.families.yolo.heads.ending import Ending
from deployments.families.yolo.heads.mask_ending import MaskEnding
from deployments.families.yolo.heads.mask_head import mask_count, prototypes
from deployments.families.yolo.layers.prototypes import PROTOTYPE_BLOCKS
from deployments.families.yolo.layers.torch_layers import LayerBuilder, check_layers
from deployments.families.yolo.layers.yolo_blocks import BLOCKS
from deployments.families.yolo.layers.yolov5_blocks import YOLOV5_BLOCKS
from deployments.families.yolo.yolo_family import YoloFamily, YoloParameters
from deployments.families.yolo.yolo_graph import Head, YoloGraph
from deployments.families.yolo.yolo_layout import COLOURS, GREY, YoloKind, YoloLayout
from deployments.prediction import Detections

LEGACY_SIZE_PX = 640
LEGACY_LARGE_SIZE_PX = 1280
LEGACY_LARGE_ABOVE_PX = 960
LEGACY_THRESHOLDS = Thresholds(score_threshold=0.1, iou_threshold=0.45, max_detections=1000)

_SEGMENT = "Segment"
"""The head with masks."""


class YOLOv5Parameters(YoloParameters):
    """The `parameters` of a YOLOv5 model in YAML."""

    legacy_worker: bool = False
    """Answer as the old worker did: red and blue swapped, resized in float32 to a 640 px square or 1280 px above
    960 px of height, classes suppress each other, threshold 0.1, whole pixels, the worst detection first. For old
    results only."""


class YOLOv5(YoloFamily):
    """The family of YOLOv5 detectors."""

    kind = YoloKind(
        family="yolov5",
        channels=frozenset({GREY, COLOURS}),
        networks=frozenset(
            f"{package}.{name}"
            for package in ("models.yolo", "yolov5.models.yolo")
            for name in ("Model", "DetectionModel", "SegmentationModel")
        ),
        heads=frozenset(
            f"{package}.{name}" for package in ("models.yolo", "yolov5.models.yolo") for name in ("Detect", _SEGMENT)
        ),
    )
    blocks = BLOCKS | YOLOV5_BLOCKS | PROTOTYPE_BLOCKS
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
            if self._is_grey:
                raise ModelUnavailable("parameters.legacy_worker takes colours, but this network takes grey images")
            if self.parameters.multi_label:
                raise ModelUnavailable("parameters.legacy_worker answers the best class of each box, not multi_label")
            self.parameters = self.parameters.model_copy(update={"class_agnostic": True})
            self.canvas_px = (2 * LEGACY_SIZE_PX, LEGACY_SIZE_PX)

    def ending_of(self, layout: YoloLayout) -> Ending:
        """As the head says."""
        if not _mask_count(layout):
            return Ending()
        if self.parameters.legacy_worker:
            raise ModelUnavailable("parameters.legacy_worker answers boxes, but this model finds masks")
        return MaskEnding(is_cut_first=True)

    def check_head(self, layout: YoloLayout) -> None:
        """The head must have anchors, and one plain convolution for each level."""
        head = layout.head.stub
        if _mask_count(layout):
            check_layers(head.child("proto"), self.blocks)
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
        """Every row of all levels."""
        masks = _mask_count(layout)
        levels, is_multi = make_levels(layout, builder, masks), self.parameters.multi_label
        whole_image = prototypes(layout.head.stub, builder, layout.strides_px[0]) if masks else (lambda features: ())

        def head(features: Sequence[Any]) -> tuple[Any, ...]:
            found = [level.scored(feature) for level, feature in zip(levels, features, strict=True)]
            return (*decode(levels, found, is_multi), *whole_image(features))

        return head

    def build_graph(self) -> YoloGraph:
        """As of any YOLO; as `legacy_worker` for canvases with fractions."""
        if not self.parameters.legacy_worker:
            return super().build_graph()
        return self._checkpoint.build(self.parameters.precision, self.make_head, with_fractions_added)

    def preprocess(self, pixels: NDArray[np.uint8]) -> Prepared[Letterbox]:
        """Letterbox uint8 RGB (height, width, 3); the geometry is a `Letterbox`. As `legacy_worker` a canvas has
        twice the rows, with 256ths of grey levels in its lower half."""
        if not self.parameters.legacy_worker:
            return super().preprocess(pixels)
        is_large = pixels.shape[0] > LEGACY_LARGE_ABOVE_PX
        size = LEGACY_LARGE_SIZE_PX if is_large else LEGACY_SIZE_PX
        canvas, geometry = float_letterbox(pixels[:, :, ::-1], (size, size))
        return Prepared(np.concatenate(with_fractions(canvas)), geometry)

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


def _mask_count(layout: YoloLayout) -> int:
    """How many prototypes of masks the head has; 0 of one without masks."""
    head = layout.head.stub
    return mask_count(head) if head.class_name == _SEGMENT else 0
