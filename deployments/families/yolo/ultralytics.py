"""YOLOv8, YOLO11 and YOLO12 from the `.pt` files of ultralytics, all sizes.

The head is anchor free: for each cell, distances to four sides as distributions (DFL) and class scores without
objectness. Source: ultralytics 8.4 `nn/modules/head.py`; boxes are scaled back as its `utils/ops.py` does.
"""

from collections.abc import Sequence
from typing import Any

from deployments.errors import ModelUnavailable
from deployments.families.shared.anchor_free import HeadMaps, decode
from deployments.families.yolo.torch_layers import LayerBuilder, check_layers
from deployments.families.yolo.yolo_family import YoloFamily
from deployments.families.yolo.yolo_graph import Head
from deployments.families.yolo.yolo_layout import YoloKind, YoloLayout

_MAX_BINS = 64


class Ultralytics(YoloFamily):
    """The family of ultralytics detectors.

    The reference predicts with an IoU threshold of 0.7 and 300 detections: `iou_threshold: 0.7` in the knobs.
    """

    kind = YoloKind(
        family="ultralytics",
        networks=frozenset({"ultralytics.nn.tasks.DetectionModel"}),
        heads=frozenset({"ultralytics.nn.modules.head.Detect", "ultralytics.nn.modules.Detect"}),
    )

    def check_head(self, layout: YoloLayout) -> None:
        """The head must have distances (`cv2`) and classes (`cv3`), and no second, NMS-free half."""
        head = layout.head.stub
        if "one2one_cv2" in head.children:
            raise ModelUnavailable("the head is an end-to-end one (YOLOv10, YOLO26), which is not supported")
        if not 1 <= head.integer("reg_max") <= _MAX_BINS:
            raise ModelUnavailable(f"reg_max is {head.integer('reg_max')}, expected 1 to {_MAX_BINS}")
        for name in ("cv2", "cv3"):
            branches = head.child(name)
            check_layers(branches, self.blocks)
            if len(branches.children) != len(layout.strides_px):
                raise ModelUnavailable(
                    f"{name} of the head has {len(branches.children)} branches for {len(layout.strides_px)} levels"
                )

    def make_head(self, layout: YoloLayout, builder: LayerBuilder) -> Head:
        """Candidates of all levels, the best first."""
        maps = make_head_maps(layout, builder)
        bins, candidates = layout.head.stub.integer("reg_max"), self.parameters.candidates

        def head(features: Sequence[Any]) -> tuple[Any, ...]:
            return decode(maps(features), bins, candidates)

        return head


def make_head_maps(layout: YoloLayout, builder: LayerBuilder) -> Any:
    """The head up to its raw maps: feature maps to one `HeadMaps` for each level."""
    distances, classes = (builder.all_children(layout.head.stub, name) for name in ("cv2", "cv3"))
    branches = list(zip(distances, classes, layout.strides_px, strict=True))

    def head_maps(features: Sequence[Any]) -> list[HeadMaps]:
        return [
            HeadMaps(to_distances(feature), to_classes(feature), stride_px)
            for feature, (to_distances, to_classes, stride_px) in zip(features, branches, strict=True)
        ]

    return head_maps
