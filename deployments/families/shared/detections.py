"""The last steps of a detector: suppression by a request's thresholds, and the answer from what is kept."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deployments.families.contract import Outputs, Thresholds
from deployments.families.shared.nms import Suppression, suppress
from deployments.prediction import Detections

ToImage = Callable[[NDArray[Any]], NDArray[np.float32]]
"""Boxes (n, 4) x1 y1 x2 y2 from canvas pixels to pixels of the client's image, clipped to it."""


def rule_of(thresholds: Thresholds, labels: tuple[str, ...], agnostic: bool = False) -> Suppression:
    """How to thin the candidates of a model with these labels. Class names that it lacks match nothing."""
    return Suppression(
        thresholds.score_threshold,
        thresholds.iou_threshold,
        thresholds.max_detections,
        thresholds.class_ids(labels),
        agnostic=agnostic,
    )


def best_detections(
    candidates: Outputs, rule: Suppression, labels: tuple[str, ...], to_image: ToImage, keeps_empty: bool = False
) -> Detections:
    """One image's candidates, thinned by NMS, in pixels of the client's image, best first.

    candidates: boxes (n, 4) x1 y1 x2 y2 in canvas pixels, scores (n,), classes (n,).  keeps_empty: whether to keep
    boxes that lie wholly in the border of the canvas, which have no area in the image.
    """
    boxes, scores, classes = candidates
    kept = suppress(boxes, scores, classes, rule)
    found = to_image(boxes[kept])
    if not keeps_empty:
        real = have_area(found)
        found, kept = found[real], kept[real]
    return detections_of(found, scores[kept], classes[kept], labels)


def have_area(boxes: NDArray[Any]) -> NDArray[np.bool_]:
    """Which of the boxes (n, 4) x1 y1 x2 y2 have area; none has that lies wholly in the border of a canvas."""
    return np.asarray((boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1]), np.bool_)


def detections_of(
    boxes: NDArray[np.float32], scores: NDArray[Any], classes: NDArray[Any], labels: tuple[str, ...]
) -> Detections:
    """The answer, in the order given.

    boxes: float32 (n, 4) x1 y1 x2 y2 in pixels of the client's image.  scores: (n,).  classes: (n,), indices of
    `labels`.
    """
    class_ids = np.asarray(classes, np.int32)
    names = tuple(labels[index] for index in class_ids)
    return Detections(boxes, np.asarray(scores, np.float32), class_ids, names)
