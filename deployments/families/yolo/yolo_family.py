"""What the families of YOLO checkpoints share: settings, canvas, letterbox, NMS. Knows no head.

Two shapes of input: `fixed` letterboxes each image onto one canvas, compiled when the replica starts;
`reference` pads only to the next multiple of the stride, as the reference implementations do for one image,
so that a first image of a new shape is slower by a compilation.
"""

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, ValidationError

from deployments.checkpoints import Checkpoint, open_checkpoint
from deployments.definition import ModelDefinition, Settings
from deployments.errors import ModelUnavailable
from deployments.families.contract import Outputs, Prepared, Thresholds
from deployments.families.shared.detections import detections_of, rule_of
from deployments.families.shared.letterbox import Letterbox, letterbox
from deployments.families.shared.nms import suppress
from deployments.families.yolo.torch_layers import LayerBuilder, check_layers
from deployments.families.yolo.yolo_blocks import BLOCKS
from deployments.families.yolo.yolo_graph import Head, YoloGraph, build_body
from deployments.families.yolo.yolo_layout import YoloKind, YoloLayout, read_layout
from deployments.prediction import Detections

DEFAULT_SIZE_PX = 640


class YoloParameters(Settings):
    """The `parameters` of a YOLO model in YAML."""

    shape: Literal["fixed", "reference"] = "fixed"
    """One canvas for all images, or the reference's smallest rectangle for each."""

    precision: Literal["float32", "bfloat16", "float16"] = "float32"
    """Of weights and arithmetic; boxes and scores are always finished in float32."""

    class_agnostic: bool = False
    """Whether boxes of different classes suppress each other."""

    candidates: int = Field(default=3000, ge=1, le=30_000)
    """Best boxes of an image that reach NMS. The references have no bound below 30,000; a lower one loses
    nothing but detections beyond the best `candidates` boxes."""


class YoloFamily:
    """Base of the YOLO families: reads the checkpoint's layout when made, builds its graph when asked.

    Raises ModelUnavailable when the file, the family, the labels, the canvas or the parameters disagree.
    """

    kind: YoloKind
    parameters_type: type[YoloParameters] = YoloParameters

    def __init__(self, definition: ModelDefinition) -> None:
        if definition.weights_path is None:
            raise ModelUnavailable(f"family {self.kind.family!r} needs `weights`, the path of a checkpoint")
        self._path = definition.weights_path
        self.parameters = self._checked_parameters(definition.parameters)
        with open_checkpoint(self._path) as checkpoint:
            layout = self._checked_layout(checkpoint)
        self.labels: tuple[str, ...] = self._checked_labels(definition.labels, layout)
        self._largest_stride_px = max(layout.strides_px)
        size = layout.train_size_px or DEFAULT_SIZE_PX
        self.canvas_px: tuple[int, int] = definition.canvas_px or (size, size)
        self._check_canvas(self.canvas_px)

    def make_head(self, layout: YoloLayout, builder: LayerBuilder) -> Head:
        """The head's program: feature maps to boxes (n, k, 4), scores (n, k), classes (n, k)."""
        raise NotImplementedError

    def build_graph(self) -> YoloGraph:
        """The network with its weights.

        Takes uint8 RGB (n, height, width, 3). Gives boxes float32 (n, k, 4) x1 y1 x2 y2 in canvas pixels,
        scores float32 (n, k), best first, and classes int32 (n, k).
        """
        with open_checkpoint(self._path) as checkpoint:
            layout = self._checked_layout(checkpoint)
            builder = LayerBuilder(BLOCKS, self.parameters.precision)
            try:
                return build_body(layout, builder, self.make_head(layout, builder))
            except ModelUnavailable as error:
                raise checkpoint.refusal(error.message) from error

    def preprocess(self, pixels: NDArray[np.uint8]) -> Prepared:
        """Letterbox uint8 RGB (height, width, 3); the geometry is a `Letterbox`."""
        return self.prepare(pixels, self.canvas_px)

    def prepare(self, pixels: NDArray[np.uint8], canvas_px: tuple[int, int]) -> Prepared:
        """Letterbox into `canvas_px`, or, with `shape: reference`, into the smallest rectangle within."""
        if self.parameters.shape == "fixed":
            canvas, geometry = letterbox(pixels, canvas_px)
        else:
            height, width = pixels.shape[:2]
            gain = min(canvas_px[0] / height, canvas_px[1] / width)
            sides = [_least_side(side * gain, self._largest_stride_px) for side in (height, width)]
            canvas, geometry = letterbox(pixels, (sides[0], sides[1]), gain)
        return Prepared(canvas, geometry)

    def postprocess(self, outputs: Outputs, geometry: Letterbox, thresholds: Thresholds) -> Detections:
        """NMS, then pixels of the asker's image; best first. Labels that are not the model's match nothing."""
        boxes, scores, classes = outputs
        rule = rule_of(thresholds, self.labels, agnostic=self.parameters.class_agnostic)
        kept = suppress(boxes, scores, classes, rule)
        return detections_of(self.to_image(boxes[kept], geometry), scores[kept], classes[kept], self.labels)

    def to_image(self, boxes: NDArray[Any], geometry: Letterbox) -> NDArray[np.float32]:
        """Boxes (n, 4) from canvas to image pixels, clipped."""
        return geometry.to_image(boxes)

    def check_head(self, layout: YoloLayout) -> None:
        """Raises ModelUnavailable when the head holds what this family does not know."""

    def _checked_layout(self, checkpoint: Checkpoint) -> YoloLayout:
        layout = read_layout(checkpoint, self.kind)
        try:
            for stage in layout.body:
                check_layers(stage.stub, BLOCKS)
            self.check_head(layout)
        except ModelUnavailable as error:
            raise checkpoint.refusal(error.message) from error
        return layout

    def _checked_parameters(self, parameters: dict[str, Any]) -> YoloParameters:
        try:
            return self.parameters_type.model_validate(parameters)
        except ValidationError as error:
            first = error.errors()[0]
            name = ".".join(str(part) for part in first["loc"])
            raise ModelUnavailable(
                f"parameters.{name} of family {self.kind.family!r}: {first['msg']}; "
                f"known: {', '.join(self.parameters_type.model_fields)}"
            ) from error

    def _checked_labels(self, declared: tuple[str, ...] | None, layout: YoloLayout) -> tuple[str, ...]:
        labels = declared or layout.names
        if labels is None:
            raise ModelUnavailable(f"{self._path.name} names no classes, so the definition needs `labels`")
        if len(labels) != layout.class_count:
            raise ModelUnavailable(
                f"{self._path.name} has {layout.class_count} classes, but the definition names {len(labels)} labels"
            )
        return labels

    def _check_canvas(self, canvas_px: tuple[int, int]) -> None:
        stride = self._largest_stride_px
        if any(side <= 0 or side % stride for side in canvas_px):
            near = tuple(max(stride, round(side / stride) * stride) for side in canvas_px)
            raise ModelUnavailable(
                f"canvas_px {canvas_px} must be multiples of {stride}, the largest stride of "
                f"{self._path.name}; the nearest are {near}"
            )


def _least_side(side_px: float, stride_px: int) -> int:
    """The least multiple of the stride that holds a resized side, which is rounded first as it is drawn."""
    return max(1, -(-round(side_px) // stride_px)) * stride_px
