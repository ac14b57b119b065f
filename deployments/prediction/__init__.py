"""What a model answers, before a door writes it down in its own way. Arrays, and no image in them.

    results.py   the kinds of answers: detections, class scores, an embedding
    masks.py     the pixels of detections
    placed_masks.py    masks of parts of an image, on one grid of the whole
    outcome.py   one image's answer with its model and times, or an error in its place

A new kind of answer is a type in `results.py` that joins `Result`; mypy then names whoever has to write it down.
"""

from deployments.prediction.masks import Masks
from deployments.prediction.outcome import Opaque, Outcome, Prediction, Timings, outcome_code
from deployments.prediction.results import ClassScores, Detection, Detections, Embedding, Result

__all__ = [
    "ClassScores",
    "Detection",
    "Detections",
    "Embedding",
    "Masks",
    "Opaque",
    "Outcome",
    "Prediction",
    "Result",
    "Timings",
    "outcome_code",
]
