"""Classifiers from the `-cls.pt` files of ultralytics/yolov5, sizes n to x.

An image goes in as its `utils/augmentations.py` `classify_transforms` does: the square in its middle, resized, with
the mean and deviation of ImageNet.
"""

from typing import Any

import cv2
import numpy as np
from keras import ops
from numpy.typing import NDArray

from deployments.definition import ModelDefinition
from deployments.errors import ModelUnavailable
from deployments.families.contract import Prepared
from deployments.families.shared.resize import CanvasGeometry, Stretch
from deployments.families.yolo.heads.classify_head import count_classes
from deployments.families.yolo.layers.yolo_blocks import BLOCKS
from deployments.families.yolo.layers.yolov5_blocks import YOLOV5_BLOCKS
from deployments.families.yolo.yolo_classifier import YoloClassifier
from deployments.families.yolo.yolo_layout import YoloKind

_MEAN = np.array([0.485, 0.456, 0.406], np.float32)
_DEVIATION = np.array([0.229, 0.224, 0.225], np.float32)


def as_of_imagenet(pixels: Any) -> Any:
    """Pixels of 0 to 1, less the mean of ImageNet's, in its deviations."""
    mean, deviation = (ops.cast(ops.convert_to_tensor(values), pixels.dtype) for values in (_MEAN, _DEVIATION))
    return (pixels - mean) / deviation


class YOLOv5Classify(YoloClassifier):
    """The family of YOLOv5 classifiers."""

    kind = YoloKind(
        family="yolov5-classify",
        networks=frozenset({"models.yolo.ClassificationModel", "yolov5.models.yolo.ClassificationModel"}),
        heads=frozenset({"models.common.Classify", "yolov5.models.common.Classify"}),
        count_classes=count_classes,
        has_levels=False,
    )
    blocks = BLOCKS | YOLOV5_BLOCKS
    to_input = staticmethod(as_of_imagenet)

    def __init__(self, definition: ModelDefinition) -> None:
        super().__init__(definition)
        if self.canvas_px[0] != self.canvas_px[1]:
            raise ModelUnavailable(f"canvas_px {self.canvas_px} must be a square: so are the images of the training")

    def preprocess(self, pixels: NDArray[np.uint8]) -> Prepared[CanvasGeometry]:
        """uint8 RGB (height, width, 3): the square in the middle, resized to the canvas."""
        height, width = pixels.shape[:2]
        side = min(height, width)
        top, left = (height - side) // 2, (width - side) // 2
        square = np.ascontiguousarray(pixels[top : top + side, left : left + side])
        resized = cv2.resize(square, self.canvas_px, interpolation=cv2.INTER_LINEAR)
        return Prepared(np.asarray(resized, np.uint8), Stretch((height, width), self.canvas_px))
