"""RF-DETR from the `.pth` files of its trainer, such as the Community Fish Detector and VIAME's fish detectors.

All variants for boxes: nano, small, medium, large, and the earlier base and large (rfdetr 1.11); and those with a
segmentation head, which finds a mask for each box. An image is stretched onto the canvas, whatever its shape. Each
query answers once for one animal, so that there is no NMS unless it is asked for.
"""

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from deployments.checkpoints import Checkpoint, open_checkpoint
from deployments.definition import ModelDefinition, Settings
from deployments.errors import ModelUnavailable
from deployments.families.contract import Outputs, Prepared, Thresholds
from deployments.families.detr.float_stretch import canvas_size, stretched
from deployments.families.detr.rf_detr_classes import head_classes
from deployments.families.detr.rf_detr_graph import RfDetrGraph, level_sizes
from deployments.families.detr.rf_detr_layout import RfDetrLayout, read_layout
from deployments.families.detr.rf_detr_settings import Size, TrainedSettings
from deployments.families.detr.rf_detr_tensors import checked_tensors
from deployments.families.detr.segmentation_head import masks_of
from deployments.families.shared.definition_checks import needed_weights, read_parameters
from deployments.families.shared.detections import detections_of, rule_of
from deployments.families.shared.nms import suppress
from deployments.prediction import Detections

LARGEST_SIDE_PX = 4096

_MOST_NUMBERS = 2**26
"""Of the largest map of one image: 256 MiB. VIAME's 960 x 1728 needs a twentieth."""

# The earlier base and large have the table of DINOv2, of 37 x 37 patches, and another default size.
_DINOV2_POSITIONS, _DINOV2_SIZE_PX = (37, 37), (560, 560)


class RfDetrParameters(Settings):
    """The `parameters` of an RF-DETR in YAML."""

    nms: bool = False
    """Whether boxes of one class that overlap more than `iou_threshold` suppress each other, as VIAME does at 0.5.
    The reference has no NMS, and then `iou_threshold` has no effect except on the merging of tiles."""

    class_agnostic: bool = False
    """Whether boxes of different classes suppress each other too; only with `nms`."""

    antialias: bool = False
    """Whether shrinking an image averages over its pixels, as the reference did until July 2026; since then it looks
    at four of them."""

    first_class_id: int = Field(default=0, ge=0, le=1)
    """The row of the first class: 1 for a file that rfdetr before 1.4 trained on a data set with an unused class 0,
    as Roboflow exports them. Names would else stand for the class before theirs."""

    precision: Literal["float32", "bfloat16", "float16"] = "float32"
    """Of the weights and arithmetic of the backbone; the decoder is always in float32."""

    @model_validator(mode="after")
    def _agnostic_needs_nms(self) -> Self:
        if self.class_agnostic and not self.nms:
            raise ValueError("class_agnostic has no effect without nms")
        return self


@dataclass(frozen=True, slots=True)
class Stretched:
    """Where an image lies on its canvas: everywhere."""

    source_px: Size

    def to_image(self, boxes: NDArray[Any]) -> NDArray[np.float32]:
        """Boxes (n, 4) x1 y1 x2 y2 from parts of the image to its pixels, clipped."""
        height, width = self.source_px
        limits = np.array([width, height] * 2, np.float32)
        return np.asarray(np.clip(np.asarray(boxes, np.float32) * limits, 0.0, limits), np.float32)


class RfDetr:
    """A `Family`. Raises ModelUnavailable when the file, labels, canvas or parameters disagree."""

    def __init__(self, definition: ModelDefinition) -> None:
        self._path = needed_weights(definition, "a checkpoint")
        self.parameters = read_parameters(definition, RfDetrParameters)
        self._declared_px = definition.canvas_px
        with open_checkpoint(self._path) as checkpoint:
            layout, settings = self._checked(checkpoint)
            checked_tensors(checkpoint, layout)
            try:
                classes = head_classes(settings, layout.class_rows, definition.labels, self.parameters.first_class_id)
            except ModelUnavailable as error:
                raise checkpoint.refusal(error.message) from error
        self.labels: tuple[str, ...] = classes.labels
        self._label_of_row = classes.label_of_row
        self.input_px: Size = _checked_size(layout, self._declared_px, self._path)

    @property
    def canvas_px(self) -> Size:
        """What the graph takes: twice the rows of the network's input, see `float_stretch`."""
        return canvas_size(self.input_px)

    def preprocess(self, pixels: NDArray[np.uint8]) -> Prepared[Stretched]:
        """Stretch uint8 RGB (height, width, 3)."""
        canvas = stretched(pixels, self.input_px, self.parameters.antialias)
        return Prepared(canvas, Stretched((pixels.shape[0], pixels.shape[1])))

    def build_graph(self) -> RfDetrGraph:
        """The network with its weights; see `RfDetrGraph` for what goes in and comes out."""
        with open_checkpoint(self._path) as checkpoint:
            layout, _ = self._checked(checkpoint)
            tensors = checked_tensors(checkpoint, layout)
            return RfDetrGraph(tensors, layout, self.input_px, self.parameters.precision)

    def postprocess(self, outputs: Outputs, geometry: Stretched, thresholds: Thresholds) -> Detections:
        """Pixels of the client's image, best first. Rows of the head without a label are left out. Masks, if any, lie
        on a grid as large as the network's input."""
        boxes, scores, rows, *masks = outputs
        classes = self._label_of_row[rows]
        has_label = classes >= 0
        rule = rule_of(thresholds, self.labels, agnostic=self.parameters.class_agnostic)
        if not self.parameters.nms:
            rule = replace(rule, iou_threshold=None)
        left = np.flatnonzero(has_label)
        kept = left[suppress(boxes[left], scores[left], classes[left], rule)]
        # As the reference: a box beside the image stays, clipped to a line.
        found = detections_of(geometry.to_image(boxes[kept]), scores[kept], classes[kept], self.labels)
        if not masks:
            return found
        queries, logits = masks
        return replace(found, masks=masks_of(logits, queries[kept], self.input_px))

    def _checked(self, checkpoint: Checkpoint) -> tuple[RfDetrLayout, TrainedSettings]:
        settings = TrainedSettings.of(checkpoint)
        return read_layout(checkpoint, settings, self._declared_px), settings


def _checked_size(layout: RfDetrLayout, declared_px: Size | None, path: Path) -> Size:
    """Height and width of the network's input. Raises ModelUnavailable unless they are whole windows of patches."""
    table_px = (layout.positions[0] * layout.patch_px, layout.positions[1] * layout.patch_px)
    usual_px = _DINOV2_SIZE_PX if layout.positions == _DINOV2_POSITIONS else table_px
    size_px = declared_px or layout.trained_px or usual_px
    step = layout.divisor_px
    if layout.mask_blocks and min(layout.mask_size(size_px)) < 1:
        raise ModelUnavailable(
            f"{path.name}: a canvas of {size_px} has no room for masks of 1 in {layout.mask_ratio}"
        )
    if all(side % step == 0 and 0 < side <= LARGEST_SIDE_PX for side in size_px):
        pixels = max(rows * columns for rows, columns in level_sizes(layout, size_px))
        masks = math.prod(layout.mask_size(size_px)) * max(layout.queries, layout.channels)
        if max(pixels * max(layout.width, layout.class_rows), masks if layout.mask_blocks else 0) > _MOST_NUMBERS:
            raise ModelUnavailable(
                f"{path.name}: a canvas of {size_px} is too large for it; declare a smaller canvas_px"
            )
        return size_px
    near = tuple(min(max(step, round(side / step) * step), LARGEST_SIDE_PX // step * step) for side in size_px)
    what = "canvas_px" if declared_px else "declare `canvas_px`: the size that the file was trained at,"
    raise ModelUnavailable(
        f"{path.name}: {what} {size_px} must be multiples of {step} ({layout.windows} windows of patches of "
        f"{layout.patch_px} pixels), up to {LARGEST_SIDE_PX}; the nearest are {near}"
    )
