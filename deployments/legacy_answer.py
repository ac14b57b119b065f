"""The list of detections as every legacy client reads it, whichever door it used. Knows no transport.

    [{"category_id": "Sea star", "scores": [0.91], "bbox": [x1, y1, x2, y2]}, ...]     best first

Desktop clients round boxes to whole pixels and reject those without area or outside the image, so a box is
kept inside the image and at least one pixel wide and high after rounding.
"""

from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

from deployments.prediction import ClassScores, Prediction


class LegacyDetection(TypedDict):
    """One detection. bbox: x1, y1, x2, y2 in pixels of the asker's image."""

    category_id: str
    scores: list[float]
    bbox: list[float]


class LegacyClassScores(TypedDict):
    """The one row of a classifier: scores in the order of its labels, nothing else."""

    scores: list[float]


def legacy_rows(prediction: Prediction) -> list[LegacyDetection] | list[LegacyClassScores]:
    """The legacy list for `prediction`: finite numbers, non-empty labels, best first."""
    result = prediction.result
    if isinstance(result, ClassScores):
        return [LegacyClassScores(scores=result.scores.astype(float).tolist())]
    boxes = boxes_with_area(result.boxes, prediction.image_size_px).tolist()
    rows = zip(result.labels, result.scores.astype(float).tolist(), boxes, strict=True)
    return [LegacyDetection(category_id=label, scores=[score], bbox=box) for label, score, box in rows]


def boxes_with_area(boxes: NDArray[np.float32], image_size_px: tuple[int, int]) -> NDArray[np.float32]:
    """Boxes (n, 4) kept inside the image (height, width) and at least 1 px wide and high once rounded."""
    height, width = image_size_px
    bounded = boxes.astype(np.float32, copy=True)
    for low, high, size in ((0, 2, width), (1, 3, height)):
        bounded[:, [low, high]] = np.clip(bounded[:, [low, high]], 0, size)
        flat = np.round(bounded[:, high]) - np.round(bounded[:, low]) < 1
        bounded[flat, low] = np.minimum(np.floor(bounded[flat, low]), size - 1)
        bounded[flat, high] = bounded[flat, low] + 1
    return bounded
