"""The last steps that detectors share: the rule of suppression from a request's thresholds, and the answer from what
was kept. Knows boxes, class numbers and labels; knows no network and no image.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from deployments.families.contract import Thresholds
from deployments.families.shared.nms import Suppression
from deployments.prediction import Detections


def rule_of(thresholds: Thresholds, labels: tuple[str, ...], agnostic: bool = False) -> Suppression:
    """How candidates of a model with these labels are thinned; labels that it lacks match nothing."""
    return Suppression(
        thresholds.score_threshold,
        thresholds.iou_threshold,
        thresholds.max_detections,
        thresholds.class_ids(labels),
        agnostic=agnostic,
    )


def have_area(boxes: NDArray[Any]) -> NDArray[np.bool_]:
    """Which of the boxes (n, 4) x1 y1 x2 y2 have area; none has that lies wholly in the border of a canvas."""
    return np.asarray((boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1]), np.bool_)


def detections_of(
    boxes: NDArray[np.float32], scores: NDArray[Any], classes: NDArray[Any], labels: tuple[str, ...]
) -> Detections:
    """The answer, in the order given. boxes: (n, 4) in pixels of the asker's image.  classes: numbers of `labels`."""
    class_ids = np.asarray(classes, np.int32)
    names = tuple(labels[index] for index in class_ids)
    return Detections(boxes, np.asarray(scores, np.float32), class_ids, names)
