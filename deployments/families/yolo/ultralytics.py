"""YOLOv8 to YOLO26 from the `.pt` files of ultralytics, all sizes.

The head is anchor free: for each cell, distances to four sides, as distributions (DFL) or plain, and class scores
without objectness. Source: ultralytics 8.4 `nn/modules/head.py`; boxes are scaled back as its `utils/ops.py` does.

YOLOv10 and YOLO26 are trained with two heads: a one-to-many one, whose boxes need NMS, and a one-to-one one, which
answers once for each object.
"""

from collections.abc import Sequence
from typing import Any, Literal

from deployments.checkpoints import ModuleStub
from deployments.errors import ModelUnavailable
from deployments.families.shared.anchor_free import HeadMaps, decode, decode_one_to_one
from deployments.families.yolo.layers.torch_layers import LayerBuilder, check_layers
from deployments.families.yolo.layers.yolo_blocks import BLOCKS
from deployments.families.yolo.layers.yolov9_blocks import YOLOV9_BLOCKS
from deployments.families.yolo.layers.yolov10_blocks import YOLOV10_BLOCKS
from deployments.families.yolo.yolo_family import YoloFamily, YoloParameters
from deployments.families.yolo.yolo_graph import Head
from deployments.families.yolo.yolo_layout import YoloKind, YoloLayout

_MAX_BINS = 64
_MOST_PAIRS = 1000
"""Of cell and class that a one-to-one head gives; a request may ask for so many detections."""

_ONE_TO_ONE, _ONE_TO_MANY = "one-to-one", "one-to-many"
_HEADS = {_ONE_TO_ONE: ("one2one_cv2", "one2one_cv3"), _ONE_TO_MANY: ("cv2", "cv3")}
"""The branches of each, distances and classes. The first that a file has answers."""


class UltralyticsParameters(YoloParameters):
    """The `parameters` of an ultralytics model in YAML."""

    head: Literal["one-to-one", "one-to-many"] | None = None
    """Which of two heads answers; by default one-to-one, where the file has it. Of the reference, early releases
    answer with the one-to-one head, and 8.4.190 with the other unless it is told `nms=False`."""


class Ultralytics(YoloFamily):
    """The family of ultralytics detectors.

    The reference predicts with an IoU threshold of 0.7 and 300 detections: `iou_threshold: 0.7` in the knobs. With a
    one-to-one head the IoU threshold has no effect.
    """

    kind = YoloKind(
        family="ultralytics",
        networks=frozenset({"ultralytics.nn.tasks.DetectionModel", "ultralytics.nn.tasks.YOLOv10DetectionModel"}),
        heads=frozenset(
            {
                "ultralytics.nn.modules.head.Detect",
                "ultralytics.nn.modules.Detect",
                "ultralytics.nn.modules.head.v10Detect",
            }
        ),
    )
    blocks = BLOCKS | YOLOV9_BLOCKS | YOLOV10_BLOCKS
    parameters_type = UltralyticsParameters
    parameters: UltralyticsParameters

    def check_head(self, layout: YoloLayout) -> None:
        """The head that answers must have distances and classes for each level."""
        head = layout.head.stub
        if not 1 <= head.integer("reg_max") <= _MAX_BINS:
            raise ModelUnavailable(f"reg_max is {head.integer('reg_max')}, expected 1 to {_MAX_BINS}")
        for name in self._branches(head):
            branches = head.child(name)
            check_layers(branches, self.blocks)
            if len(branches.children) != len(layout.strides_px):
                raise ModelUnavailable(
                    f"{name} of the head has {len(branches.children)} branches for {len(layout.strides_px)} levels"
                )

    def is_one_to_one(self, layout: YoloLayout) -> bool:
        """As the parameter `head` says."""
        return self._branches(layout.head.stub) == _HEADS[_ONE_TO_ONE]

    def make_head(self, layout: YoloLayout, builder: LayerBuilder) -> Head:
        """Candidates of all levels, the best first."""
        maps = self.make_head_maps(layout, builder)
        bins, candidates = layout.head.stub.integer("reg_max"), self.parameters.candidates
        if self.is_one_to_one(layout):
            return lambda features: decode_one_to_one(maps(features), bins, min(candidates, _MOST_PAIRS))
        return lambda features: decode(maps(features), bins, candidates)

    def make_head_maps(self, layout: YoloLayout, builder: LayerBuilder) -> Any:
        """The head up to its raw maps: feature maps to one `HeadMaps` for each level."""
        head = layout.head.stub
        distances, classes = (builder.all_children(head, name) for name in self._branches(head))
        branches = list(zip(distances, classes, layout.strides_px, strict=True))

        def head_maps(features: Sequence[Any]) -> list[HeadMaps]:
            return [
                HeadMaps(to_distances(feature), to_classes(feature), stride_px)
                for feature, (to_distances, to_classes, stride_px) in zip(features, branches, strict=True)
            ]

        return head_maps

    def _branches(self, head: ModuleStub) -> tuple[str, str]:
        """The names of those that answer; `fuse()` may have left one of two heads."""
        has = [name for name, (distances, _) in _HEADS.items() if distances in head.children]
        wanted = self.parameters.head or (has or [_ONE_TO_MANY])[0]
        if self.parameters.head is not None and wanted not in has:
            raise ModelUnavailable(f"the file has no {wanted} head, only {', '.join(has) or 'none'}")
        return _HEADS[wanted]
