"""RetinaNet R50-FPN from the `.pth` files of detectron2, such as the FathomNet benthic supercategory model.

Resizing, NMS and scaling are the reference's (detectron2 `data/transforms`,
`meta_arch/retinanet.py`, `modeling/postprocessing.py`). The published yaml is not read: its traps (a doubled key,
a class count that RetinaNet ignores) are why the head has 80 classes of which 20 are trained.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, Self

import cv2
import numpy as np
import PIL.Image
from numpy.typing import NDArray
from pydantic import Field, model_validator

from deployments.checkpoints import Checkpoint, open_checkpoint
from deployments.definition import ModelDefinition, Settings
from deployments.errors import ModelUnavailable
from deployments.families.contract import Outputs, Prepared, Thresholds
from deployments.families.retinanet.detectron2_graph import RetinaNetGraph, RetinaNetWeights, used_tensors
from deployments.families.retinanet.views import Size, Views, canvas_size, draw
from deployments.families.shared.definition_checks import (
    check_canvas,
    checked_labels,
    needed_weights,
    read_parameters,
)
from deployments.families.shared.detections import detections_of, have_area, rule_of
from deployments.families.shared.float_pixels import with_fractions
from deployments.families.shared.nms import Suppression, suppress
from deployments.prediction import Detections

UNTOUCHED_CLASSES = 80
"""Classes of detectron2's RetinaNet when nobody sets MODEL.RETINANET.NUM_CLASSES."""

MAX_EDGE_PX = 4096

_LARGEST_STRIDE_PX = 32
_ANCHORS = 9
_MERGING_IOU = 0.45


class RetinaNetParameters(Settings):
    """The `parameters` of a RetinaNet model in YAML. Defaults are those of the benthic supercategory model."""

    short_edge_px: int = Field(default=720, ge=32, le=MAX_EDGE_PX)
    """The shorter side of the resized image ..."""

    long_edge_px: int = Field(default=1280, ge=32, le=MAX_EDGE_PX)
    """... unless the longer one would exceed this."""

    scales: str = Field(default="", pattern=r"^([0-9]{2,4}x[0-9]{2,4}( +[0-9]{2,4}x[0-9]{2,4}){0,7})?$")
    """Several sizes instead of one, as pairs of these sides: `720x1280 540x960 1080x1920` is what the legacy server
    did, `720x1280 1080x1980` the published scripts. Detections of all sizes are merged; each costs its own time."""

    shape: Literal["fixed", "reference"] = "fixed"
    """One canvas for all images (an upright image is made smaller to fit), or the least multiple of 32 for each; of
    several sizes, the canvas of the largest for all, as in one batch of the reference."""

    antialias: bool = True
    """Whether shrinking averages over pixels, as the reference does for images of bytes; the legacy model server sent
    float32, which the reference resizes without."""

    cross_class_iou_threshold: float | None = Field(default=None, ge=0, le=1)
    """Boxes that overlap more than this suppress each other whatever their classes and sizes; 1 turns it off. Not
    given, it is 0.45, that of the published scripts, with `scales`, and off without."""

    precision: Literal["float32", "bfloat16", "float16"] = "float32"
    """Of weights and arithmetic; boxes and scores are always finished in float32."""

    @property
    def edges_px(self) -> tuple[tuple[int, int], ...]:
        """Short and long edge of each size."""
        if not self.scales:
            return ((self.short_edge_px, self.long_edge_px),)
        pairs = (pair.split("x") for pair in self.scales.split())
        return tuple((int(short), int(long)) for short, long in pairs)

    @model_validator(mode="after")
    def _one_way_to_say_sizes(self) -> Self:
        if self.scales and {"short_edge_px", "long_edge_px"} & self.model_fields_set:
            raise ValueError("give either scales or short_edge_px and long_edge_px")
        if any(not _LARGEST_STRIDE_PX <= short <= long <= MAX_EDGE_PX for short, long in self.edges_px):
            raise ValueError(
                f"edges {self.edges_px} must be {_LARGEST_STRIDE_PX} to {MAX_EDGE_PX}, the short one first"
            )
        return self


@dataclass(frozen=True, slots=True)
class ViewGeometry:
    """Where one image lies in its part of the canvas."""

    source_px: Size
    """Height and width of the image as it came."""

    resized_px: Size
    """Height and width in the top left corner of its part."""

    def to_image(self, boxes: NDArray[Any]) -> NDArray[np.float32]:
        """Boxes (n, 4) from pixels of the resized image to those of the client's, clipped."""
        height, width = self.source_px
        scale = np.array([width / self.resized_px[1], height / self.resized_px[0]] * 2)
        mapped = np.asarray(boxes, np.float64).reshape(-1, 4) * scale
        clipped: NDArray[np.float32] = np.clip(mapped, 0.0, np.array([width, height] * 2)).astype(np.float32)
        return clipped


class Detectron2RetinaNet:
    """A `Family`. Raises ModelUnavailable when the file, labels, canvas or parameters disagree."""

    def __init__(self, definition: ModelDefinition) -> None:
        self._path = needed_weights(definition, "a checkpoint")
        self.parameters = read_parameters(definition, RetinaNetParameters)
        with open_checkpoint(self._path) as checkpoint:
            self.labels = self._checked_labels(definition.labels, checkpoint)
        edges_px = self.parameters.edges_px
        self._parts_px: tuple[Size, ...] = tuple((_padded(short), _padded(long)) for short, long in edges_px)
        if definition.canvas_px is not None:
            self._parts_px = (self._checked_canvas(definition.canvas_px),)

    @property
    def canvas_px(self) -> tuple[int, int]:
        """What the graph takes: for each size of the image, one row more than the network's input of that size."""
        sizes_px = self._parts_px if self.parameters.shape == "fixed" else self._alike(self._parts_px)
        return canvas_size(self._repeated(sizes_px))

    @property
    def input_px(self) -> tuple[int, int]:
        """That of the largest size."""
        return max(self._parts_px)

    def preprocess(self, pixels: NDArray[np.uint8]) -> Prepared[tuple[ViewGeometry, ...]]:
        """Resize uint8 RGB (height, width, 3) by a bilinear filter: PIL's antialiased one, as the reference does, or
        none but the plain one, in float32."""
        height, width = pixels.shape[:2]
        sizes = [self._resized_size((height, width), index) for index in range(len(self._parts_px))]
        parts_px = self._parts_px
        if self.parameters.shape == "reference":
            parts_px = self._alike([(_padded(rows), _padded(columns)) for rows, columns in sizes])
        images: list[NDArray[np.uint8]] = []
        for rows, columns in sizes:
            if self.parameters.antialias:
                image = PIL.Image.fromarray(np.ascontiguousarray(pixels))
                images.append(np.asarray(image.resize((columns, rows), PIL.Image.Resampling.BILINEAR)))
            else:
                plain = cv2.resize(pixels.astype(np.float32), (columns, rows), interpolation=cv2.INTER_LINEAR)
                images += with_fractions(np.asarray(plain, np.float32))
        geometry = tuple(ViewGeometry((height, width), size) for size in sizes)
        return Prepared(draw(images, self._repeated(parts_px)), geometry)

    def build_graph(self) -> RetinaNetGraph:
        """The network with its weights; see `RetinaNetGraph` for what goes in and comes out."""
        with open_checkpoint(self._path) as checkpoint:
            tensors = checkpoint.state_dict("model")

            def read(name: str) -> NDArray[Any]:
                if name not in tensors:
                    raise checkpoint.refusal(f"no tensor {name!r}, expected those of a RetinaNet R50-FPN")
                return tensors[name].numpy()

            is_uneven = self.parameters.shape == "fixed" and len(self._parts_px) > 1
            sizes_px = self._parts_px if is_uneven else None
            views = Views(len(self._parts_px), sizes_px, has_fractions=not self.parameters.antialias)
            return RetinaNetGraph(RetinaNetWeights(read, self.parameters.precision), len(self.labels), views)

    def postprocess(self, outputs: Outputs, geometry: tuple[ViewGeometry, ...], thresholds: Thresholds) -> Detections:
        """NMS for each class within each size, then, where asked for, across all, in pixels of the client's image;
        best first. Boxes left without area are dropped."""
        boxes, scores, classes, views = outputs
        rule = rule_of(thresholds, self.labels)
        found = np.zeros((0, 6), np.float32)
        for index, view in enumerate(geometry):
            mine = np.flatnonzero(views == index)
            kept = mine[suppress(boxes[mine], scores[mine], classes[mine], rule)]
            rows = np.column_stack([view.to_image(boxes[kept]), scores[kept], classes[kept]]).astype(np.float32)
            found = np.concatenate([found, rows])
        merged = self._merged(found[have_area(found)], thresholds)
        boxes, scores = np.ascontiguousarray(merged[:, :4]), np.ascontiguousarray(merged[:, 4])
        return detections_of(boxes, scores, merged[:, 5], self.labels)

    def _merged(self, found: NDArray[np.float32], thresholds: Thresholds) -> NDArray[np.float32]:
        """Rows x1 y1 x2 y2 score class of all sizes, best first, those that overlap across classes suppressed."""
        across = self.parameters.cross_class_iou_threshold
        if across is None:
            across = _MERGING_IOU if self.parameters.scales else 1.0
        if across >= 1.0:
            return found[np.argsort(-found[:, 4], kind="stable")][: thresholds.max_detections]
        rule = Suppression(thresholds.score_threshold, across, thresholds.max_detections, agnostic=True)
        return found[suppress(found[:, :4], found[:, 4], found[:, 5].astype(np.int32), rule)]

    def _resized_size(self, source_px: Size, index: int) -> Size:
        """Height and width after ResizeShortestEdge, and within the canvas where that is fixed."""
        short_px, long_px = self.parameters.edges_px[index]
        height, width = source_px
        gain = min(short_px / min(height, width), long_px / max(height, width))
        if self.parameters.shape == "fixed":
            gain = min(gain, self._parts_px[index][0] / height, self._parts_px[index][1] / width)
        return max(1, int(height * gain + 0.5)), max(1, int(width * gain + 0.5))

    def _repeated(self, sizes_px: Sequence[Size]) -> list[Size]:
        """Sizes of the parts of the canvas: twice each where views have fractions."""
        return [size for size in sizes_px for _ in range(1 if self.parameters.antialias else 2)]

    @staticmethod
    def _alike(parts_px: Sequence[Size]) -> tuple[Size, ...]:
        """All parts as large as the largest."""
        return ((max(height for height, _ in parts_px), max(width for _, width in parts_px)),) * len(parts_px)

    def _checked_canvas(self, canvas_px: Size) -> Size:
        if self.parameters.scales:
            raise ModelUnavailable("canvas_px cannot be given with parameters.scales, which say the sizes themselves")
        check_canvas(canvas_px, _LARGEST_STRIDE_PX, self._path.name)
        return canvas_px

    def _checked_labels(self, labels: tuple[str, ...] | None, checkpoint: Checkpoint) -> tuple[str, ...]:
        shapes = {name: tensor.shape for name, tensor in checkpoint.state_dict("model").items()}
        try:
            anchors, classes = used_tensors(shapes)
        except ModelUnavailable as error:
            raise checkpoint.refusal(error.message) from error
        if anchors != _ANCHORS:
            raise checkpoint.refusal(f"the head has {anchors} anchors for each cell, expected {_ANCHORS}")
        if labels is None:
            raise checkpoint.refusal(f"names no classes, so the definition needs `labels`, up to {classes}")
        # An untouched head keeps its 80 classes whatever it is trained on; the first ones are the trained ones.
        if classes == UNTOUCHED_CLASSES and len(labels) < classes:
            return labels
        return checked_labels(self._path.name, labels, None, classes)


def _padded(side_px: int) -> int:
    return -(-side_px // _LARGEST_STRIDE_PX) * _LARGEST_STRIDE_PX
