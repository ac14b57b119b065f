"""Tiling with a real model: small animals of a 4K frame are found that one look at the whole frame misses."""

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from deployments.definition import ModelDefinition, ModelKnobs, Tiling
from deployments.families.demo.scenes import draw_scene
from deployments.metrics import NoMeter
from deployments.prediction import Detections, Outcome, Prediction
from deployments.replica import Replica
from deployments.request import Image, Options, Request
from deployments.runtimes import Resources

from .conftest import THREADS

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


def detections(outcome: Outcome) -> Detections:
    assert isinstance(outcome, Prediction), outcome
    assert isinstance(outcome.result, Detections)
    return outcome.result


def recall(answer: Detections, truth: list[tuple[str, NDArray[Any]]]) -> float:
    """Share of the animals that a box of their label meets with an IoU of a half."""
    return sum(
        any(one.label == label and _iou(np.array(one.box), box) >= 0.5 for one in answer) for label, box in truth
    ) / len(truth)


def _iou(one: NDArray[Any], other: NDArray[Any]) -> float:
    shared = float(np.prod(np.maximum(np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2]), 0)))
    return shared / float(np.prod(one[2:] - one[:2]) + np.prod(other[2:] - other[:2]) - shared)


async def test_small_animals_of_a_4k_frame_are_found_that_one_look_misses() -> None:
    model = Replica("demo", ModelDefinition(family="benthic-demo"), Resources(cpu_threads=THREADS), NoMeter())
    model.set_knobs(ModelKnobs(max_waiting_images=128))
    frame, truth = mosaic(range(9000, 9016))
    assert frame.shape == (*SIZE_PX, 3)
    assert len(truth) >= 30
    image = Image.from_pixels(frame)
    tilings: list[Tiling | Literal["off"]] = ["off", Tiling(tile_height_px=540, tile_width_px=960), Tiling()]
    whole, tiled, by_default = await model.predict(
        [Request(image, Options(tiling=tiling, max_detections=1000), deadline_s=100) for tiling in tilings]
    )
    await model.close()
    assert recall(detections(tiled), truth) >= 0.85
    assert recall(detections(whole), truth) <= recall(detections(tiled), truth) - 0.3
    assert recall(detections(by_default), truth) >= recall(detections(whole), truth) + 0.3
