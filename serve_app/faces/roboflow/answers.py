"""What was found in an image, as roboflow's inference server writes it. Boxes are centres with sizes."""

from typing import Any
from uuid import uuid4

import numpy as np

from deployments.errors import InvalidRequest
from deployments.prediction import ClassScores, Detections, Prediction
from serve_app.faces.roboflow.registry import CLASSIFICATION, INSTANCE_SEGMENTATION, OBJECT_DETECTION
from serve_app.formats.coco_masks import full_size_mask

Answer = dict[str, Any]


def check_task(prediction: Prediction, task: str | None) -> None:
    """Raises InvalidRequest where the model has no answer for `task`. None: for whatever it answers."""
    result = prediction.result
    if isinstance(result, ClassScores):
        right: tuple[str, ...] = (CLASSIFICATION,)
    elif isinstance(result, Detections):
        has_masks = result.masks is not None or len(result) == 0
        right = (OBJECT_DETECTION, INSTANCE_SEGMENTATION) if has_masks else (OBJECT_DETECTION,)
    else:
        raise InvalidRequest(
            f"{prediction.model} answers {result.what}, which this protocol has no words for; see /v1"
        )
    if task is not None and task not in right:
        raise InvalidRequest(f"{prediction.model} does {right[0]}, not {task}; it answers {result.what}")


def answer_of(prediction: Prediction, inference_id: str, as_rle: bool) -> Answer:
    """The answer for one image. as_rle: masks as COCO's run lengths and not as outlines. Raises InvalidRequest for
    masks of too many pieces."""
    height, width = prediction.image_size_px
    head = {
        "inference_id": inference_id,
        "time": sum(prediction.timings.stage_seconds().values()),
        "image": {"width": width, "height": height},
    }
    result = prediction.result
    if isinstance(result, ClassScores):
        return head | _classification(result)
    assert isinstance(result, Detections)
    return head | {"predictions": _detections(result, prediction.image_size_px, as_rle)}


def is_slow(prediction: Prediction) -> bool:
    """Whether writing it takes long enough for a thread: each mask is drawn."""
    result = prediction.result
    return isinstance(result, Detections) and result.masks is not None and len(result) > 0


def _classification(scores: ClassScores) -> Answer:
    order = np.argsort(-scores.scores, kind="stable").tolist()
    rows = [
        {"class": scores.labels[index], "class_id": index, "confidence": float(scores.scores[index])}
        for index in order
    ]
    return {"predictions": rows, "top": rows[0]["class"], "confidence": rows[0]["confidence"]}


def _detections(found: Detections, image_size_px: tuple[int, int], as_rle: bool) -> list[Answer]:
    rows = [
        {
            "x": (x1 + x2) / 2,
            "y": (y1 + y2) / 2,
            "width": x2 - x1,
            "height": y2 - y1,
            "confidence": score,
            "class": label,
            "class_id": class_id,
            "detection_id": str(uuid4()),
        }
        for label, class_id, score, (x1, y1, x2, y2) in zip(
            found.labels, found.class_ids.tolist(), found.scores.tolist(), found.boxes.tolist(), strict=True
        )
    ]
    if found.masks is None:
        return rows
    for index, row in enumerate(rows):
        if as_rle:
            row["rle"] = full_size_mask(found.masks, index, image_size_px)[0]
        else:
            row["points"] = [{"x": x, "y": y} for x, y in found.masks.outline(index, image_size_px).tolist()]
    return rows
