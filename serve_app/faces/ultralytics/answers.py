"""What was found in an image, in the rows of `Results.summary()` of ultralytics. Pure."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from deployments.prediction import ClassScores, Detections, Prediction
from serve_app.faces.detections import detections_of
from serve_app.faces.ultralytics.fields import UltralyticsOptions

BEST_CLASSES = 5
"""Of a classifier, as in the original."""

Row = dict[str, Any]


def image_entry(prediction: Prediction, wanted: UltralyticsOptions) -> dict[str, Any]:
    """The entry of one image in `images`. Raises InvalidRequest for an embedding, which has no rows."""
    height, width = prediction.image_size_px
    timings = prediction.timings
    speed = {
        "preprocess": timings.decode_s * 1000,
        "inference": timings.inference_s * 1000,
        "postprocess": timings.postprocess_s * 1000,
    }
    return {"shape": [height, width], "speed": speed, "results": _rows(prediction, wanted)}


def task_of(prediction: Prediction) -> str:
    """The word of ultralytics for what a model does."""
    result = prediction.result
    if isinstance(result, ClassScores):
        return "classify"
    assert isinstance(result, Detections)
    if result.corners is not None:
        return "obb"
    if result.masks is not None:
        return "segment"
    return "detect" if result.keypoints is None else "pose"


def is_slow(prediction: Prediction) -> bool:
    """Whether writing it takes long enough for a thread: each mask is drawn, to follow its outline."""
    result = prediction.result
    return isinstance(result, Detections) and result.masks is not None and len(result) > 0


def _rows(prediction: Prediction, wanted: UltralyticsOptions) -> list[Row]:
    result = prediction.result
    if isinstance(result, ClassScores):
        return _class_rows(result, wanted.decimals)
    result = detections_of(prediction)
    height, width = prediction.image_size_px
    scale = np.array([width, height], np.float64) if wanted.is_normalized else np.ones(2)
    # Of a rotated box, its four corners stand in the place of the upright one.
    corners = result.boxes.reshape(-1, 2, 2) if result.corners is None else result.corners
    places = np.round(corners / scale, wanted.decimals).tolist()
    scores = np.round(result.scores.astype(np.float64), wanted.decimals).tolist()
    rows: list[Row] = [
        {"name": label, "class": class_id, "confidence": score, "box": _named(points)}
        for label, class_id, score, points in zip(
            result.labels, result.class_ids.tolist(), scores, places, strict=True
        )
    ]
    for index, row in enumerate(rows):
        if result.masks is not None:
            row["segments"] = _columns(result.masks.outline(index, prediction.image_size_px) / scale, wanted.decimals)
        if result.keypoints is not None:
            points = result.keypoints[index].astype(np.float64)
            visible = np.round(points[:, 2], wanted.decimals).tolist()
            row["keypoints"] = _columns(points[:, :2] / scale, wanted.decimals) | {"visible": visible}
    return rows


def _class_rows(scores: ClassScores, decimals: int) -> list[Row]:
    order = np.argsort(-scores.scores, kind="stable")[:BEST_CLASSES].tolist()
    return [
        {"name": scores.labels[index], "class": index, "confidence": round(float(scores.scores[index]), decimals)}
        for index in order
    ]


def _named(points: list[list[float]]) -> dict[str, float]:
    """x1, y1, x2, y2, ..., in this order, as clients read them by it."""
    return {
        f"{axis}{number}": value
        for number, point in enumerate(points, 1)
        for axis, value in zip("xy", point, strict=True)
    }


def _columns(points: NDArray[np.floating[Any]], decimals: int) -> dict[str, list[float]]:
    rounded = np.round(points.astype(np.float64), decimals)
    return {"x": rounded[:, 0].tolist(), "y": rounded[:, 1].tolist()}
