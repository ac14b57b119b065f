"""Keypoints of the detections of one image. Source: ultralytics 8.4 `models/yolo/pose/predict.py`."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from deployments.families.contract import Outputs
from deployments.families.shared.nms import Suppression
from deployments.families.yolo.heads.ending import Ending, Place
from deployments.prediction import Detections


class KeypointEnding(Ending):
    """Upright boxes with points: after the classes come (k, points, 3), x y in canvas pixels and visibility."""

    def kept(self, outputs: Outputs, rule: Suppression) -> NDArray[np.intp]:
        """As of upright boxes, and without those that have a point nowhere."""
        boxes, scores, classes, points = outputs
        is_sound = np.isfinite(points).all(axis=(1, 2))
        return super().kept((boxes, np.where(is_sound, scores, -np.inf), classes), rule)

    def detections(self, outputs: Outputs, kept: NDArray[np.intp], place: Place) -> Detections:
        """Boxes and points, which are clipped to the image."""
        geometry, points = place.geometry, np.array(outputs[3][kept], np.float32)
        height, width = geometry.source_px
        points[..., :2] = np.clip(geometry.points_to_image(points[..., :2]), 0.0, (width, height))
        return replace(super().detections(outputs, kept, place), keypoints=points)
