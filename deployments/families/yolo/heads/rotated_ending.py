"""Rotated boxes of one image. Sources: ultralytics 8.4 `models/yolo/obb/predict.py`, `engine/results.py` (`OBB`)."""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deployments.families.contract import Outputs
from deployments.families.shared.detections import detections_of
from deployments.families.shared.nms import Suppression
from deployments.families.shared.rotated_nms import suppress_rotated
from deployments.families.yolo.heads.ending import Ending, Place
from deployments.prediction import Detections


class RotatedEnding(Ending):
    """Boxes are (k, 5): centre x y, width, height in canvas pixels, and the angle in radians, clockwise on screen."""

    def kept(self, outputs: Outputs, rule: Suppression) -> NDArray[np.intp]:
        """The indices of the candidates that are answered, best first."""
        boxes, scores, classes = outputs
        return suppress_rotated(boxes, scores, classes, rule)

    def detections(self, outputs: Outputs, kept: NDArray[np.intp], place: Place) -> Detections:
        """Corners in pixels of the client's image, not clipped, and the upright boxes around them, clipped."""
        boxes, scores, classes = outputs
        geometry, chosen = place.geometry, np.array(boxes[kept], np.float32)
        height, width = geometry.source_px
        chosen[:, :2] = geometry.points_to_image(chosen[:, :2])
        chosen[:, 2:4] /= geometry.axis_gains
        corners = corners_of(chosen)
        around = np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)
        upright = np.clip(around, 0.0, np.array([width, height] * 2, np.float32))
        return replace(detections_of(upright, scores[kept], classes[kept], place.labels), corners=corners)


def corners_of(boxes: NDArray[Any]) -> NDArray[np.float32]:
    """(n, 5) x y width height angle to corners (n, 4, 2) in turn, the first at half of width and height."""
    centres, half, angles = boxes[:, :2], boxes[:, 2:4] / 2, boxes[:, 4:5]
    along = half[:, :1] * np.concatenate([np.cos(angles), np.sin(angles)], axis=1)
    across = half[:, 1:] * np.concatenate([-np.sin(angles), np.cos(angles)], axis=1)
    turns = [centres + along + across, centres + along - across, centres - along - across, centres - along + across]
    return np.stack(turns, axis=1).astype(np.float32)
