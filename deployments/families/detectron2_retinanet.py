"""RetinaNet R50-FPN from the `.pth` files of detectron2, such as the FathomNet benthic supercategory model.

Knows that checkpoint's names and the reference's resizing, NMS and scaling (detectron2 `data/transforms`,
`meta_arch/retinanet.py`, `modeling/postprocessing.py`). The published yaml is not read: its traps (a doubled key,
a class count that RetinaNet ignores) are why the head has 80 classes of which 20 are trained.
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import PIL.Image
from numpy.typing import NDArray
from pydantic import Field, ValidationError

from deployments.checkpoints import Checkpoint, open_checkpoint
from deployments.definition import ModelDefinition, Settings
from deployments.errors import ModelUnavailable
from deployments.families.contract import Outputs, Prepared, Thresholds
from deployments.families.nms import Suppression, suppress
from deployments.families.retinanet_graph import RetinaNetGraph, RetinaNetWeights, size_row, used_tensors
from deployments.prediction import Detections

UNTOUCHED_CLASSES = 80
"""Classes of detectron2's RetinaNet when nobody sets MODEL.RETINANET.NUM_CLASSES."""

_LARGEST_STRIDE_PX = 32
_ANCHORS = 9


class RetinaNetParameters(Settings):
    """The `parameters` of a RetinaNet model in YAML. Defaults are those of the benthic supercategory model."""

    short_edge_px: int = Field(default=720, ge=32, le=4096)
    """The shorter side of the resized image ..."""

    long_edge_px: int = Field(default=1280, ge=32, le=4096)
    """... unless the longer one would exceed this."""

    shape: Literal["fixed", "reference"] = "fixed"
    """One canvas for all images (an upright image is made smaller to fit), or the least multiple of 32 for each."""

    cross_class_iou_threshold: float = Field(default=1.0, ge=0, le=1)
    """Boxes of different classes that overlap more than this suppress each other; 1 turns it off. The published
    scripts use 0.45."""

    precision: Literal["float32", "bfloat16", "float16"] = "float32"
    """Of weights and arithmetic; boxes and scores are always finished in float32."""


@dataclass(frozen=True, slots=True)
class Geometry:
    """Sizes of one image, (height, width): as asked, and as resized into the canvas from its top left corner."""

    source_px: tuple[int, int]
    resized_px: tuple[int, int]

    def to_image(self, boxes: NDArray[Any]) -> NDArray[np.float32]:
        """Boxes (n, 4) from canvas to image pixels, clipped."""
        height, width = self.source_px
        scale = np.array([width / self.resized_px[1], height / self.resized_px[0]] * 2)
        mapped = np.asarray(boxes, np.float64).reshape(-1, 4) * scale
        clipped: NDArray[np.float32] = np.clip(mapped, 0.0, np.array([width, height] * 2)).astype(np.float32)
        return clipped


class Detectron2RetinaNet:
    """A `Family`. Raises ModelUnavailable when the file, labels, canvas or parameters disagree."""

    def __init__(self, definition: ModelDefinition) -> None:
        if definition.weights_path is None:
            raise ModelUnavailable("family 'detectron2-retinanet' needs `weights`, the path of a checkpoint")
        self._path = definition.weights_path
        try:
            self.parameters = RetinaNetParameters.model_validate(definition.parameters)
        except ValidationError as error:
            first = error.errors()[0]
            name = ".".join(str(part) for part in first["loc"])
            raise ModelUnavailable(
                f"parameters.{name} of family 'detectron2-retinanet': {first['msg']}; "
                f"known: {', '.join(RetinaNetParameters.model_fields)}"
            ) from error
        with open_checkpoint(self._path) as checkpoint:
            self.labels = self._checked_labels(definition.labels, checkpoint)
        edges = (self.parameters.short_edge_px, self.parameters.long_edge_px)
        self._input_px = definition.canvas_px or (_padded(edges[0]), _padded(edges[1]))
        if any(side <= 0 or side % _LARGEST_STRIDE_PX for side in self._input_px):
            raise ModelUnavailable(f"canvas_px {self._input_px} must be multiples of {_LARGEST_STRIDE_PX}")

    @property
    def canvas_px(self) -> tuple[int, int]:
        """What the graph takes: one row more than the network's input, which tells it the image's size."""
        return self._input_px[0] + 1, self._input_px[1]

    def preprocess(self, pixels: NDArray[np.uint8]) -> Prepared:
        """Resize uint8 RGB (height, width, 3) by PIL's antialiased bilinear filter, as the reference does."""
        height, width = pixels.shape[:2]
        resized = self._resized_size(height, width)
        canvas_px = self._input_px
        if self.parameters.shape == "reference":
            canvas_px = (_padded(resized[0]), _padded(resized[1]))
        canvas = np.zeros((canvas_px[0] + 1, canvas_px[1], 3), np.uint8)
        picture = PIL.Image.fromarray(np.ascontiguousarray(pixels))
        small = picture.resize((resized[1], resized[0]), PIL.Image.Resampling.BILINEAR)
        canvas[: resized[0], : resized[1]] = np.asarray(small)
        canvas[-1:] = size_row(*resized, canvas_px[1])
        return Prepared(canvas, Geometry((height, width), resized))

    def build_graph(self) -> RetinaNetGraph:
        """The network with its weights; see `RetinaNetGraph` for what goes in and comes out."""
        with open_checkpoint(self._path) as checkpoint:
            tensors = checkpoint.state_dict("model")

            def read(name: str) -> NDArray[Any]:
                if name not in tensors:
                    raise checkpoint.refusal(f"no tensor {name!r}, expected those of a RetinaNet R50-FPN")
                return tensors[name].numpy()

            return RetinaNetGraph(RetinaNetWeights(read, self.parameters.precision), len(self.labels))

    def postprocess(self, outputs: Outputs, geometry: Geometry, thresholds: Thresholds) -> Detections:
        """NMS for each class, then pixels of the asker's image; best first. Boxes left without area are dropped."""
        boxes, scores, classes = outputs
        rule = Suppression(
            thresholds.score_threshold,
            thresholds.iou_threshold,
            thresholds.max_detections,
            thresholds.class_ids(self.labels),
        )
        kept = suppress(boxes, scores, classes, rule)
        across = self.parameters.cross_class_iou_threshold
        if across < 1.0:
            again = Suppression(thresholds.score_threshold, across, thresholds.max_detections, agnostic=True)
            kept = kept[suppress(boxes[kept], scores[kept], classes[kept], again)]
        found = geometry.to_image(boxes[kept])
        has_area = (found[:, 2] > found[:, 0]) & (found[:, 3] > found[:, 1])
        class_ids = np.asarray(classes[kept][has_area], np.int32)
        return Detections(
            boxes=found[has_area],
            scores=np.asarray(scores[kept][has_area], np.float32),
            class_ids=class_ids,
            labels=tuple(self.labels[index] for index in class_ids),
        )

    def _resized_size(self, height: int, width: int) -> tuple[int, int]:
        """Height and width after ResizeShortestEdge, and within the canvas where that is fixed."""
        gain = self.parameters.short_edge_px / min(height, width)
        gain = min(gain, self.parameters.long_edge_px / max(height, width))
        if self.parameters.shape == "fixed":
            gain = min(gain, self._input_px[0] / height, self._input_px[1] / width)
        return max(1, int(height * gain + 0.5)), max(1, int(width * gain + 0.5))

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
        if len(labels) != classes and not (classes == UNTOUCHED_CLASSES and len(labels) < classes):
            raise checkpoint.refusal(f"the head has {classes} classes, but the definition names {len(labels)} labels")
        return labels


def _padded(side_px: int) -> int:
    return -(-side_px // _LARGEST_STRIDE_PX) * _LARGEST_STRIDE_PX
