"""What `/v1` answers for one image, as JSON members. Pure."""

from typing import Any

import numpy as np
import orjson

from deployments.errors import ServingError
from deployments.prediction import ClassScores, Detections, Embedding, Opaque, Outcome, Prediction
from serve_app.formats.coco_masks import compressed_counts
from serve_app.http.problems import problem_members

Entry = dict[str, Any]


def entry_of(name: str | None, outcome: Outcome) -> Entry:
    """name: the image's, as the client sent it. Written by orjson with OPT_SERIALIZE_NUMPY."""
    if isinstance(outcome, ServingError):
        return {"name": name, "error": problem_members(outcome)}
    if isinstance(outcome, Opaque):
        # Its worker looks at the image, and says of it what it likes.
        return {"name": name, "width": None, "height": None, "answer": orjson.Fragment(outcome.payload)}
    height, width = outcome.image_size_px
    timings = outcome.timings
    return {
        "name": name,
        "width": width,
        "height": height,
        **_result(outcome),
        "timings": {
            "decode_s": timings.decode_s,
            "wait_s": timings.wait_s,
            "inference_s": timings.inference_s,
            "postprocess_s": timings.postprocess_s,
            "batch_size": timings.batch_size,
        },
    }


def is_slow(outcome: Outcome) -> bool:
    """Whether writing it takes long enough for a thread: each mask is drawn, to follow its outline."""
    return (
        isinstance(outcome, Prediction)
        and isinstance(outcome.result, Detections)
        and outcome.result.masks is not None
        and len(outcome.result) > 0
    )


def _result(prediction: Prediction) -> Entry:
    result = prediction.result
    if isinstance(result, ClassScores):
        return {"classes": _classes(result)}
    if isinstance(result, Embedding):
        return {"embedding": np.ascontiguousarray(result.values, np.float32)}
    return {"detections": _detections(result, prediction.image_size_px)}


def _classes(scores: ClassScores) -> list[Entry]:
    order = np.argsort(-scores.scores, kind="stable").tolist()
    values = scores.scores.tolist()
    return [{"label": scores.labels[index], "class_id": index, "score": values[index]} for index in order]


def _detections(found: Detections, image_size_px: tuple[int, int]) -> list[Entry]:
    rows = zip(found.labels, found.class_ids.tolist(), found.scores.tolist(), found.boxes.tolist(), strict=True)
    entries: list[Entry] = [
        {"label": label, "class_id": class_id, "score": score, "box": {"x1": x1, "y1": y1, "x2": x2, "y2": y2}}
        for label, class_id, score, (x1, y1, x2, y2) in rows
    ]
    if found.masks is not None:
        height, width = found.masks.size_px
        for index, entry in enumerate(entries):
            counts = compressed_counts(found.masks.runs(index))
            entry["mask"] = {"size": [height, width], "counts": counts}
            entry["polygon"] = found.masks.outline(index, image_size_px).tolist()
    if found.keypoints is not None:
        for entry, points in zip(entries, found.keypoints.tolist(), strict=True):
            entry["keypoints"] = [{"x": x, "y": y, "score": score} for x, y, score in points]
    if found.corners is not None:
        for entry, corners in zip(entries, found.corners.tolist(), strict=True):
            entry["corners"] = corners
    return entries
