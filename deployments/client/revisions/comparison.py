"""Compares what two revisions of a model found in one image. Pure."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deployments.prediction import Detections

SAME_FROM_IOU = 0.5
"""Two boxes of one label are the same animal when they overlap at least this much."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Boxes that both found, and that only one of the two found. score_difference: absolute, summed over `both`."""

    both: int
    only_model: int
    only_candidate: int
    score_difference: float

    @property
    def differs(self) -> bool:
        """Whether a box of one has no partner in the other."""
        return self.only_model + self.only_candidate > 0


def compare(model: Detections, candidate: Detections) -> Comparison:
    """Matches the boxes as COCO's evaluation does: each of the model's, best score first, with the box of the
    candidate that has its label, is not taken yet and overlaps it most."""
    overlaps = _overlaps(model.boxes, candidate.boxes)
    overlaps[np.array(model.labels)[:, None] != np.array(candidate.labels)[None, :]] = 0.0
    both, score_difference = 0, 0.0
    if overlaps.size:
        for index in np.argsort(-model.scores, kind="stable"):
            partner = int(overlaps[index].argmax())
            if overlaps[index, partner] >= SAME_FROM_IOU:
                both += 1
                score_difference += abs(float(model.scores[index]) - float(candidate.scores[partner]))
                overlaps[:, partner] = 0.0
    return Comparison(both, len(model) - both, len(candidate) - both, score_difference)


def _overlaps(first: NDArray[np.float32], second: NDArray[np.float32]) -> NDArray[np.float32]:
    """Intersection over union of every pair, (n, m)."""
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:], second[None, :, 2:])
    shared = np.prod(np.maximum(high - low, 0.0), axis=2)
    areas = [np.prod(boxes[:, 2:] - boxes[:, :2], axis=1) for boxes in (first, second)]
    union = areas[0][:, None] + areas[1][None, :] - shared
    overlaps: NDArray[np.float32] = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
    return overlaps
