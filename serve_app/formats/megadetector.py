"""The batch output of MegaDetector, which AddaxAI, Timelapse and other tools for camera traps read.

Source: https://lila.science/megadetector-output-format, and the package's own `validate_batch_results.py`. Boxes are
x, y, width, height as parts of the image's width and height.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import orjson

from deployments.prediction import ClassScores
from serve_app.formats.boxes import PART_DIGITS, SCORE_DIGITS, image_rows, label_of, made_by
from serve_app.formats.category_ids import category_ids
from serve_app.formats.contract import Answer, cannot_express, within_limit
from serve_app.formats.file_names import base_name

NAME = "megadetector"
VERSION = "1.6"

ANIMAL = ("1", "animal")
"""The category of a whole image that was classified. Downstream tools look for this name."""

WHOLE_IMAGE = [0.0, 0.0, 1.0, 1.0]


def write_megadetector(answers: Sequence[Answer]) -> bytes:
    """Detections, or the classes of whole images as the package itself writes them: as those of one detection."""
    is_classifier = any(isinstance(one.prediction.result, ClassScores) for one in answers)
    makers = ", ".join(sorted({made_by(one) for one in answers}))
    info = {"format_version": VERSION, "classifier" if is_classifier else "detector": makers}
    content = _classified(answers) if is_classifier else _detected(answers)
    return within_limit(orjson.dumps({"info": info, **content}))


def _detected(answers: Sequence[Answer]) -> dict[str, Any]:
    images = list(image_rows(answers, NAME))
    ids = category_ids(images)
    return {
        "detection_categories": {str(number): label for label, number in ids.items()},
        "images": [
            {
                "file": image.file_name,
                "detections": [
                    {"category": str(ids[one.label]), "conf": one.score, "bbox": one.parts.span(PART_DIGITS)}
                    for one in image.found
                ],
            }
            for image in images
        ],
    }


def _classified(answers: Sequence[Answer]) -> dict[str, Any]:
    categories: dict[str, str] = {}  # label -> number
    images = []
    for number, answer in enumerate(answers, 1):
        result = answer.prediction.result
        if not isinstance(result, ClassScores):
            raise cannot_express(answer, NAME)
        for label in result.labels:
            categories.setdefault(label_of(label), str(len(categories) + 1))
        best_first = np.argsort(-result.scores, kind="stable").tolist()
        scores = result.scores.astype(float).tolist()
        classes = [[categories[label_of(result.labels[one])], round(scores[one], SCORE_DIGITS)] for one in best_first]
        whole = {"category": ANIMAL[0], "conf": classes[0][1], "bbox": WHOLE_IMAGE, "classifications": classes}
        images.append({"file": base_name(answer.file_name, number), "detections": [whole]})
    return {
        "detection_categories": dict([ANIMAL]),
        "classification_categories": {number: label for label, number in categories.items()},
        "images": images,
    }
