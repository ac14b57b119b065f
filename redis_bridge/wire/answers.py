"""Predictions in the shapes that legacy workers wrote; the queue's encoding makes bytes of them. Pure.

    detections               [{"category_id": "Sea star", "scores": [0.91], "bbox": [x1, y1, x2, y2]}, ...]
    detections-nested-scores ... "scores": [[0.91]] ...
    detections-box-as-text   ... "bbox": "[x1, y1, x2, y2]" ...
    detections-as-text       ... "scores": ["0.91"], "bbox": "[x, y, width, height]" ...
    class-scores             [{"scores": [p0, p1, ...]}], in the order of the model's labels
    label-probability        [{"label": "Sea star", "probability": 0.91}, ...], at most `top_classes`
    xywh-score-class         [{"xywh": [[x, y, width, height]], "score": 0.91, "class": 3.0}, ...]
    label-confidence-box     [{"label": "Sea star", "confidence": 0.91, "box": [x1, y1, x2, y2]}, ...]
    boxes-and-confidences    {"bboxes": [[x1, y1, x2, y2], ...], "confidences": [0.91, ...]}
    segments                 [{"box": [{"x", "y", "w", "h"}, ...], "score": [0.91, ...], "poly": [[[x, y], ...]]}]
    outlines                 [[[x, y], ...], ...], x and y from 0 to 1
    one-outline              [[x, y], ...] of the best detection, in pixels; [] for none

Best first, boxes in pixels of the job's image, inside it and at least one pixel wide and high. An outline is that of
the largest piece of a mask; where a model finds no masks, the corners of a rotated box, or else of its box.
"""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from deployments.errors import InvalidRequest
from deployments.legacy_answer import LegacyDetection, boxes_with_area, detection_rows, legacy_rows
from deployments.prediction import ClassScores, Detections, Embedding, Prediction
from redis_bridge.wire.profiles import AnswerFormat, QueueProfile

Box = list[float]
"""x1, y1, x2, y2 in pixels."""

Points = list[list[float]]
"""[[x, y], ...] in pixels."""


def answer_value(prediction: Prediction, profile: QueueProfile) -> Any:
    """What the queue's client reads, made of dict, list, str, int and float.

    Raises InvalidRequest when the profile asks for something that this kind of model does not find.
    """
    result = prediction.result
    if profile.answer is AnswerFormat.LABEL_PROBABILITY and not isinstance(result, Embedding):
        return _label_probability(result, profile.top_classes)
    if isinstance(result, Detections):
        write = _OF_DETECTIONS.get(profile.answer)
        if write is not None:
            return write(prediction, result)
    elif profile.answer in _ROWS or (isinstance(result, ClassScores) and profile.answer is AnswerFormat.CLASS_SCORES):
        return legacy_rows(prediction)
    raise InvalidRequest(
        f"the queue's profile answers {profile.answer}, which needs {_needs(profile.answer)}, "
        f"but model {prediction.model} answers {result.what}"
    )


def _needs(answer: AnswerFormat) -> str:
    if answer is AnswerFormat.LABEL_PROBABILITY:
        return "labels"
    return "boxes" if answer in _OF_DETECTIONS else "a score of every class"


def _label_probability(result: Detections | ClassScores, top_classes: int) -> list[dict[str, Any]]:
    """Of detections the best of each label."""
    best: dict[str, float] = {}
    for label, score in zip(result.labels, result.scores.astype(float).tolist(), strict=True):
        best[label] = max(score, best.get(label, 0.0))
    ranked = sorted(best.items(), key=lambda entry: -entry[1])
    return [{"label": label, "probability": score} for label, score in ranked[:top_classes]]


def _boxes(prediction: Prediction, detections: Detections) -> list[Box]:
    boxes: list[Box] = boxes_with_area(detections.boxes, prediction.image_size_px).astype(float).tolist()
    return boxes


def _scores(detections: Detections) -> list[float]:
    scores: list[float] = detections.scores.astype(float).tolist()
    return scores


def _detections(prediction: Prediction, detections: Detections) -> list[LegacyDetection]:
    return detection_rows(detections, prediction.image_size_px)


def _nested_scores(prediction: Prediction, detections: Detections) -> Any:
    return [{**row, "scores": [row["scores"]]} for row in _detections(prediction, detections)]


def _box_as_text(prediction: Prediction, detections: Detections) -> Any:
    return [{**row, "bbox": str(box)} for row, box in _with_boxes(prediction, detections)]


def _as_text(prediction: Prediction, detections: Detections) -> Any:
    return [
        {**row, "scores": [str(score) for score in row["scores"]], "bbox": str(_xywh(box))}
        for row, box in _with_boxes(prediction, detections)
    ]


def _with_boxes(prediction: Prediction, detections: Detections) -> Any:
    return zip(_detections(prediction, detections), _boxes(prediction, detections), strict=True)


def _xywh_score_class(prediction: Prediction, detections: Detections) -> Any:
    classes = detections.class_ids.astype(float).tolist()
    rows = zip(_boxes(prediction, detections), _scores(detections), classes, strict=True)
    return [{"xywh": [_xywh(box)], "score": score, "class": number} for box, score, number in rows]


def _label_confidence_box(prediction: Prediction, detections: Detections) -> Any:
    rows = zip(detections.labels, _scores(detections), _boxes(prediction, detections), strict=True)
    return [{"label": label, "confidence": score, "box": box} for label, score, box in rows]


def _boxes_and_confidences(prediction: Prediction, detections: Detections) -> Any:
    return {"bboxes": _boxes(prediction, detections), "confidences": _scores(detections)}


def _segments(prediction: Prediction, detections: Detections) -> Any:
    named = [dict(zip("xywh", _xywh(box), strict=True)) for box in _boxes(prediction, detections)]
    outlines = [_whole(points) for points in _points(prediction, detections)]
    return [{"box": named, "score": _scores(detections), "poly": outlines}]


def _outlines(prediction: Prediction, detections: Detections) -> Any:
    height_px, width_px = prediction.image_size_px
    return [[[x / width_px, y / height_px] for x, y in points] for points in _points(prediction, detections)]


def _one_outline(prediction: Prediction, detections: Detections) -> Any:
    return next((_whole(points) for points in _points(prediction, detections)), [])


def _points(prediction: Prediction, detections: Detections) -> Iterator[Points]:
    """The outline of each detection, in pixels within the image."""
    height_px, width_px = prediction.image_size_px
    for index, box in enumerate(_boxes(prediction, detections)):
        outline = np.zeros((0, 2), np.float32)
        if detections.masks is not None:
            outline = detections.masks.outline(index, prediction.image_size_px)
        elif detections.corners is not None:
            outline = detections.corners[index]
        points: Points = np.clip(outline, 0, (width_px, height_px)).astype(float).tolist()
        yield points or _corners(box)


def _xywh(box: Box) -> Box:
    x1, y1, x2, y2 = box
    return [x1, y1, x2 - x1, y2 - y1]


def _corners(box: Box) -> Points:
    x1, y1, x2, y2 = box
    return [[x1, y1], [x2, y1], [x2, y2], [x1, y2]]


def _whole(points: Points) -> list[list[int]]:
    """Whole pixels: clients hand outlines to drawing functions that take nothing else."""
    return [[round(x), round(y)] for x, y in points]


_OF_DETECTIONS: dict[AnswerFormat, Callable[[Prediction, Detections], Any]] = {
    AnswerFormat.DETECTIONS: _detections,
    AnswerFormat.DETECTIONS_NESTED_SCORES: _nested_scores,
    AnswerFormat.DETECTIONS_BOX_AS_TEXT: _box_as_text,
    AnswerFormat.DETECTIONS_AS_TEXT: _as_text,
    AnswerFormat.XYWH_SCORE_CLASS: _xywh_score_class,
    AnswerFormat.LABEL_CONFIDENCE_BOX: _label_confidence_box,
    AnswerFormat.BOXES_AND_CONFIDENCES: _boxes_and_confidences,
    AnswerFormat.SEGMENTS: _segments,
    AnswerFormat.OUTLINES: _outlines,
    AnswerFormat.ONE_OUTLINE: _one_outline,
}

_ROWS = frozenset(
    {
        AnswerFormat.DETECTIONS,
        AnswerFormat.DETECTIONS_NESTED_SCORES,
        AnswerFormat.DETECTIONS_BOX_AS_TEXT,
        AnswerFormat.DETECTIONS_AS_TEXT,
    }
)
"""On a queue with one of these a classifier answers its row of scores, as the detectors and classifiers of one
legacy server did side by side; so does a model that answers an embedding."""
