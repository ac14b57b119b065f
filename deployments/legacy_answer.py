"""The list of detections as every legacy client reads it, whichever door it used.

    [{"category_id": "Sea star", "scores": [0.91], "bbox": [x1, y1, x2, y2]}, ...]     best first

Desktop clients round boxes to whole pixels and reject those without area or outside the image, so a box is
kept inside the image and at least one pixel wide and high after rounding.
"""

from typing import TypedDict

import numpy as np
from numpy.typing import NDArray

from deployments.prediction import ClassScores, Detections, Embedding, Prediction


class LegacyDetection(TypedDict):
    """One detection. bbox: x1, y1, x2, y2 in pixels of the client's image."""

    category_id: str
    scores: list[float]
    bbox: list[float]


class LegacyClassScores(TypedDict):
    """The one row of a classifier: scores in the order of its labels, nothing else."""

    scores: list[float]


class LegacyEmbedding(TypedDict):
    """The one row of a model that describes an image by numbers."""

    embedding: list[float]


LegacyRows = list[LegacyDetection] | list[LegacyClassScores] | list[LegacyEmbedding]


def legacy_rows(prediction: Prediction) -> LegacyRows:
    """The legacy list for `prediction`: finite numbers, non-empty labels, best first."""
    result = prediction.result
    if isinstance(result, ClassScores):
        return [LegacyClassScores(scores=result.scores.astype(float).tolist())]
    if isinstance(result, Embedding):
        return [LegacyEmbedding(embedding=result.values.astype(float).tolist())]
    return detection_rows(result, prediction.image_size_px)


def detection_rows(detections: Detections, image_size_px: tuple[int, int]) -> list[LegacyDetection]:
    """The rows of a detector."""
    boxes = boxes_with_area(detections.boxes, image_size_px).tolist()
    rows = zip(detections.labels, detections.scores.astype(float).tolist(), boxes, strict=True)
    return [LegacyDetection(category_id=label, scores=[score], bbox=box) for label, score, box in rows]


def boxes_with_area(boxes: NDArray[np.float32], image_size_px: tuple[int, int]) -> NDArray[np.float32]:
    """Boxes (n, 4) kept inside the image (height, width) and at least 1 px wide and high once rounded."""
    height, width = image_size_px
    sizes = np.array([width, height], np.float32)
    bounded = np.clip(boxes.astype(np.float32).reshape(-1, 2, 2), 0, sizes)
    low, high = bounded[:, 0], bounded[:, 1]
    flat = np.rint(high) - np.rint(low) < 1
    if flat.any():
        low[flat] = np.minimum(np.floor(low), sizes - 1)[flat]
        high[flat] = low[flat] + 1
    return bounded.reshape(-1, 4)
