"""Classifiers from the `-cls.pt` files of ultralytics, all sizes.

An image is resized and cropped as ultralytics 8.4 `data/augment.py` `classify_transforms` does.
"""

import numpy as np
from numpy.typing import NDArray

from deployments.definition import ModelDefinition
from deployments.families.contract import Prepared
from deployments.families.shared.resize import CanvasGeometry, Resize
from deployments.families.yolo.heads.classify_head import count_classes
from deployments.families.yolo.yolo_classifier import YoloClassifier
from deployments.families.yolo.yolo_layout import YoloKind


class UltralyticsClassify(YoloClassifier):
    """The family of ultralytics classifiers."""

    kind = YoloKind(
        family="ultralytics-classify",
        networks=frozenset({"ultralytics.nn.tasks.ClassificationModel"}),
        heads=frozenset({"ultralytics.nn.modules.head.Classify", "ultralytics.nn.modules.Classify"}),
        count_classes=count_classes,
        has_levels=False,
    )

    def __init__(self, definition: ModelDefinition) -> None:
        super().__init__(definition)
        self._resize = Resize("centre-crop", self.canvas_px, "antialiased")

    def preprocess(self, pixels: NDArray[np.uint8]) -> Prepared[CanvasGeometry]:
        """uint8 RGB (height, width, 3), resized until it covers the canvas, and its middle."""
        return Prepared(*self._resize.apply(pixels))
