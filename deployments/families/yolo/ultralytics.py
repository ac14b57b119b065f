"""YOLOv8 to YOLO26 from the `.pt` files of ultralytics, all sizes: boxes, also with masks or keypoints, or rotated.

The head is anchor free: for each cell, distances to four sides, as distributions (DFL) or plain, and class scores
without objectness; what it says besides is in `heads/anchor_free_heads.py`. Source: ultralytics 8.4
`nn/modules/head.py`; boxes are scaled back as its `utils/ops.py` does.

YOLOv10 and YOLO26 are trained with two heads: a one-to-many one, whose boxes need NMS, and a one-to-one one, which
answers once for each object.
"""

from collections.abc import Sequence
from typing import Any, Literal

from keras import ops

from deployments.checkpoints import ModuleStub
from deployments.errors import ModelUnavailable
from deployments.families.shared.anchor_free import Cells, HeadMaps, best_pairs
from deployments.families.shared.tensor_ops import classes_of_all
from deployments.families.yolo.heads.anchor_free_heads import HEADS, AnchorFreeHead
from deployments.families.yolo.heads.ending import Ending
from deployments.families.yolo.heads.multi_label import check_pairs
from deployments.families.yolo.layers.prototypes import PROTOTYPE_BLOCKS
from deployments.families.yolo.layers.torch_layers import LayerBuilder, Program, check_layers, sequence
from deployments.families.yolo.layers.yolo_blocks import BLOCKS
from deployments.families.yolo.layers.yolov5_blocks import YOLOV5_BLOCKS
from deployments.families.yolo.layers.yolov9_blocks import YOLOV9_BLOCKS
from deployments.families.yolo.layers.yolov10_blocks import YOLOV10_BLOCKS
from deployments.families.yolo.yolo_family import YoloFamily, YoloParameters
from deployments.families.yolo.yolo_graph import Head
from deployments.families.yolo.yolo_layout import COLOURS, GREY, YoloKind, YoloLayout

_GHOSTS = {name: YOLOV5_BLOCKS[name] for name in ("C3Ghost", "GhostBottleneck", "GhostConv")}
_MAX_BINS = 64
_MOST_PAIRS = 1000
"""Of cell and class that a one-to-one head gives; a request may ask for so many detections."""

_ONE_TO_ONE, _ONE_TO_MANY = "one-to-one", "one-to-many"
_ONE_TO_ONE_PREFIX = "one2one_"
_HEADS = {_ONE_TO_ONE: ("one2one_cv2", "one2one_cv3"), _ONE_TO_MANY: ("cv2", "cv3")}
"""The branches of each, distances and classes. The first that a file has answers."""


class UltralyticsParameters(YoloParameters):
    """The `parameters` of an ultralytics model in YAML."""

    head: Literal["one-to-one", "one-to-many"] | None = None
    """Which of two heads answers; by default one-to-one, where the file has it. Of the reference, early releases
    answer with the one-to-one head, and 8.4.190 with the other unless it is told `nms=False`."""


class Ultralytics(YoloFamily):
    """The family of ultralytics detectors; what is found besides boxes, the head of the file decides.

    The reference predicts with an IoU threshold of 0.7 and 300 detections: `iou_threshold: 0.7` in the knobs. With a
    one-to-one head the IoU threshold has no effect.
    """

    kind = YoloKind(
        family="ultralytics",
        channels=frozenset({GREY, COLOURS}),
        networks=frozenset(
            f"ultralytics.nn.tasks.{name}"
            for name in ("DetectionModel", "YOLOv10DetectionModel", "SegmentationModel", "PoseModel", "OBBModel")
        ),
        # The first releases kept all modules in one file.
        heads=frozenset(f"ultralytics.nn.modules.{place}{name}" for place in ("head.", "") for name in HEADS),
    )
    blocks = BLOCKS | YOLOV9_BLOCKS | YOLOV10_BLOCKS | PROTOTYPE_BLOCKS | _GHOSTS
    parameters_type = UltralyticsParameters
    parameters: UltralyticsParameters

    def check_head(self, layout: YoloLayout) -> None:
        """The head that answers must have distances and classes for each level."""
        head = layout.head.stub
        if not 1 <= head.integer("reg_max") <= _MAX_BINS:
            raise ModelUnavailable(f"reg_max is {head.integer('reg_max')}, expected 1 to {_MAX_BINS}")
        kind = head_of(layout)
        if self.parameters.multi_label and self.is_one_to_one(layout):
            raise ModelUnavailable("parameters.multi_label has no effect on a one-to-one head, which does so anyway")
        if self.parameters.candidates > kind.most_candidates:
            raise ModelUnavailable(
                f"parameters.candidates is {self.parameters.candidates}, of a {head.class_name} head at most "
                f"{kind.most_candidates}"
            )
        for name in (*self._branches(head), *self._besides(head, kind)):
            branches = head.child(name)
            check_layers(branches, self.blocks)
            if len(branches.children) != len(layout.strides_px):
                raise ModelUnavailable(
                    f"{name} of the head has {len(branches.children)} branches for {len(layout.strides_px)} levels"
                )
        for name in kind.modules:
            check_layers(head.child(name), self.blocks)

    def ending_of(self, layout: YoloLayout) -> Ending:
        """As the head says."""
        return head_of(layout).ending

    def is_one_to_one(self, layout: YoloLayout) -> bool:
        """As the parameter `head` says."""
        return self._branches(layout.head.stub) == _HEADS[_ONE_TO_ONE]

    def make_head(self, layout: YoloLayout, builder: LayerBuilder) -> Head:
        """Every cell of all levels with its best class; of a one-to-one head the best pairs of both."""
        maps, kind = self.make_head_maps(layout, builder), head_of(layout)
        whole_image = kind.whole_image(layout.head.stub, builder, layout.strides_px[0])
        bins, pairs = layout.head.stub.integer("reg_max"), min(self.parameters.candidates, _MOST_PAIRS)
        is_one_to_one, is_multi = self.is_one_to_one(layout), self.parameters.multi_label

        def head(features: Sequence[Any]) -> tuple[Any, ...]:
            cells = Cells(maps(features), bins)
            if is_one_to_one:
                winners = best_pairs(cells, pairs)
                places, scores, classes = cells.places.at(winners.cells), winners.scores, winners.classes
            else:
                places, classes = cells.places, classes_of_all(cells.logits)
                logits = check_pairs(cells.logits) if is_multi else ops.max(cells.logits, axis=-1)
                scores = ops.sigmoid(logits)
            boxes, *besides = kind.decoded(places)
            return (boxes, scores, classes, *besides, *whole_image(features))

        return head

    def make_head_maps(self, layout: YoloLayout, builder: LayerBuilder) -> Any:
        """The head up to its raw maps: feature maps to one `HeadMaps` for each level."""
        head, kind, levels = layout.head.stub, head_of(layout), len(layout.strides_px)
        distances, classes = (builder.all_children(head, name) for name in self._branches(head))
        chains = [builder.all_children(head, name) for name in self._besides(head, kind)]
        besides: list[Program | None] = [sequence(list(chain)) for chain in zip(*chains, strict=True)]
        branches = list(zip(distances, classes, besides or [None] * levels, layout.strides_px, strict=True))

        def head_maps(features: Sequence[Any]) -> list[HeadMaps]:
            found = []
            for feature, (to_distances, to_classes, to_beside, stride_px) in zip(features, branches, strict=True):
                beside = None if to_beside is None else to_beside(feature)
                maps = HeadMaps(to_distances(feature), to_classes(feature), stride_px, beside)
                _check_channels(maps, layout.class_count, kind.numbers)
                found.append(maps)
            return found

        return head_maps

    def _branches(self, head: ModuleStub) -> tuple[str, str]:
        """The names of those that answer; `fuse()` may have left one of two heads."""
        has = [name for name, (distances, _) in _HEADS.items() if distances in head.children]
        wanted = self.parameters.head or (has or [_ONE_TO_MANY])[0]
        if self.parameters.head is not None and wanted not in has:
            raise ModelUnavailable(f"the file has no {wanted} head, only {', '.join(has) or 'none'}")
        return _HEADS[wanted]

    def _besides(self, head: ModuleStub, kind: AnchorFreeHead) -> list[str]:
        """The names of the branches besides, of the head that answers."""
        prefix = _ONE_TO_ONE_PREFIX if self._branches(head) == _HEADS[_ONE_TO_ONE] else ""
        return [f"{prefix}{name}" for name in kind.branches]


def head_of(layout: YoloLayout) -> AnchorFreeHead:
    """What the head of a file says of a cell. Raises ModelUnavailable for one that does not fit."""
    return HEADS[layout.head.stub.class_name](layout.head.stub)


def _check_channels(maps: HeadMaps, classes: int, numbers: int) -> None:
    found = int(maps.class_logits.shape[-1]), 0 if maps.beside is None else int(maps.beside.shape[-1])
    if found != (classes, numbers):
        raise ModelUnavailable(
            f"the head gives {found[0]} class scores and {found[1]} further numbers for each cell, "
            f"expected {classes} and {numbers}"
        )
