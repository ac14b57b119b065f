"""Tiling with a real model: small animals of a 4K frame are found that one look at the whole frame misses."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deployments.definition import ModelDefinition
from deployments.families.benthic_demo import BenthicDemo
from deployments.families.contract import Thresholds
from deployments.families.demo.scenes import draw_scene
from deployments.prediction import Detections
from deployments.runtimes import Runtime
from deployments.tiling import Tile, Tiling, cut_into_tiles, merge

LIMITS = Thresholds(score_threshold=0.25, iou_threshold=0.45, max_detections=1000)
SIZE_PX = (2160, 3840)


def mosaic(seeds: Sequence[int]) -> tuple[NDArray[np.uint8], list[tuple[str, NDArray[Any]]]]:
    """A 4K frame of sixteen drawn scenes, and the animals in it that nothing hides."""
    scenes = [draw_scene(seed) for seed in seeds]
    rows = [np.concatenate([scene.pixels for scene in scenes[start : start + 4]], axis=1) for start in (0, 4, 8, 12)]
    truth = []
    for index, scene in enumerate(scenes):
        offset = np.array([index % 4 * 960, index // 4 * 540] * 2)
        truth += [(item.label, np.array(item.box_px) + offset) for item in scene.objects if not item.hard]
    return np.concatenate(rows), truth


def recall(answer: Detections, truth: list[tuple[str, NDArray[Any]]]) -> float:
    """Share of the animals that a box of their label meets with an IoU of a half."""
    return sum(
        any(one.label == label and _iou(np.array(one.box), box) >= 0.5 for one in answer) for label, box in truth
    ) / len(truth)


def _iou(one: NDArray[Any], other: NDArray[Any]) -> float:
    shared = float(np.prod(np.maximum(np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2]), 0)))
    return shared / float(np.prod(one[2:] - one[:2]) + np.prod(other[2:] - other[:2]) - shared)


def test_small_animals_of_a_4k_frame_are_found_that_one_pass_misses(runtime: Runtime) -> None:
    family = BenthicDemo(ModelDefinition(family="benthic-demo"))
    runtime.load(family, [1, 8])
    frame, truth = mosaic(range(9000, 9016))
    assert frame.shape == (*SIZE_PX, 3)
    assert len(truth) >= 30

    def look(tiles: Sequence[Tile]) -> Detections:
        prepared = [family.preprocess(tile.cut(frame)) for tile in tiles]
        outputs = runtime.infer([one.canvas for one in prepared])
        found = [family.postprocess(each, one.geometry, LIMITS) for each, one in zip(outputs, prepared, strict=True)]
        return merge(list(zip(tiles, found, strict=True)), SIZE_PX, LIMITS)

    tiles = cut_into_tiles(SIZE_PX, Tiling(tile_height_px=540, tile_width_px=960))
    whole, tiled = recall(look(tiles[:1]), truth), recall(look(tiles), truth)
    assert tiled >= 0.85
    assert whole <= tiled - 0.3
