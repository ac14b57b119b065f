"""A 4K frame of drawn animals that are too small to be seen when the frame is shrunk, and how many were found."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from training.benthic_demo.scenes import draw_scene

SIZE_PX = (2160, 3840)
Drawn = tuple[str, NDArray[Any]]
"""Label and box, x1 y1 x2 y2."""


def mosaic(seeds: Sequence[int] = range(9000, 9016)) -> tuple[NDArray[np.uint8], list[Drawn]]:
    """Sixteen drawn scenes in one frame, and the animals in it that nothing hides."""
    scenes = [draw_scene(seed) for seed in seeds]
    rows = [np.concatenate([scene.pixels for scene in scenes[start : start + 4]], axis=1) for start in (0, 4, 8, 12)]
    truth = []
    for index, scene in enumerate(scenes):
        offset = np.array([index % 4 * 960, index // 4 * 540] * 2)
        truth += [(item.label, np.array(item.box_px) + offset) for item in scene.objects if not item.hard]
    return np.concatenate(rows), truth


def recall(answer: Iterable[tuple[str, Sequence[float]]], truth: Sequence[Drawn]) -> float:
    """Share of the animals that a box of their label meets with an IoU of a half."""
    rows = [(label, np.array(box)) for label, box in answer]
    return sum(
        any(found == label and _iou(place, box) >= 0.5 for found, place in rows) for label, box in truth
    ) / len(truth)


def _iou(one: NDArray[Any], other: NDArray[Any]) -> float:
    shared = float(np.prod(np.maximum(np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2]), 0)))
    return shared / float(np.prod(one[2:] - one[:2]) + np.prod(other[2:] - other[:2]) - shared)
