"""Scenes as training material: drawn once in parallel, letterboxed, and varied on the fly.

Worker processes import this, so it needs no TensorFlow.
"""

from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from typing import TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from deployments.families.shared.letterbox import letterbox
from training.benthic_demo.animals import LABELS
from training.benthic_demo.scenes import Scene, draw_scene
from training.benthic_demo.water import TYPICAL, Conditions

CANVAS_PX = (384, 640)
"""Height and width of the network's input when it serves."""

CROP_PX = (256, 416)
"""Height and width of a training crop: fewer pixels a step, so more steps in the time."""

OBJECTS = 16
"""Most objects of one crop; a scene has at most 12."""

_T = TypeVar("_T")
_SHOWN = 0.45
_SIDE_PX = 5.0


@dataclass(frozen=True, slots=True)
class Example:
    """One letterboxed scene: uint8 RGB canvas, float32 (M, 4) canvas boxes, int32 (M,) classes."""

    canvas: NDArray[np.uint8]
    boxes: NDArray[np.float32]
    classes: NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class Batch:
    """N crops with truth padded to `OBJECTS`: uint8 (N, h, w, 3), then as `assign.Truth`."""

    pixels: NDArray[np.uint8]
    boxes: NDArray[np.float32]
    classes: NDArray[np.int32]
    present: NDArray[np.float32]


def draw_examples(seeds: range, conditions: Conditions = TYPICAL, processes: int = 2) -> list[Example]:
    """Draw and letterbox one scene a seed, in order, in several processes."""
    return _in_parallel(partial(draw_example, conditions=conditions), seeds, processes)


def draw_scenes(seeds: range, conditions: Conditions = TYPICAL, processes: int = 2) -> list[Scene]:
    """Draw one scene a seed, in order, in several processes: full frames for evaluation."""
    return _in_parallel(partial(draw_scene, conditions=conditions), seeds, processes)


def _in_parallel(draw: Callable[[int], _T], seeds: range, processes: int) -> list[_T]:
    # Spawned, not forked: the caller may already run TensorFlow's threads.
    context = get_context("spawn")
    # One cv2 thread each, or the processes would fight over the cores.
    with ProcessPoolExecutor(processes, context, cv2.setNumThreads, (1,)) as pool:
        return list(pool.map(draw, seeds, chunksize=16))


def draw_example(seed: int, conditions: Conditions = TYPICAL) -> Example:
    """Draw one scene and fit it to the canvas."""
    scene = draw_scene(seed, conditions)
    canvas, geometry = letterbox(scene.pixels, CANVAS_PX)
    boxes = geometry.to_canvas(np.array([item.box_px for item in scene.objects], np.float32))
    classes = np.array([LABELS.index(item.label) for item in scene.objects], np.int32)
    return Example(canvas, boxes, classes)


def batches(examples: list[Example], size: int, seed: int) -> Iterator[Batch]:
    """Endless shuffled batches of random crops, deterministic by `seed`."""
    rng = np.random.default_rng([seed, 7])
    while True:
        order = rng.permutation(len(examples))
        for start in range(0, len(order) - size + 1, size):
            yield stack([_vary(rng, examples[i]) for i in order[start : start + size]])


def stack(examples: list[Example]) -> Batch:
    """Join examples of one canvas size, padding their truth to `OBJECTS` rows."""
    count = len(examples)
    boxes = np.zeros((count, OBJECTS, 4), np.float32)
    classes = np.zeros((count, OBJECTS), np.int32)
    present = np.zeros((count, OBJECTS), np.float32)
    for row, example in enumerate(examples):
        held = min(OBJECTS, len(example.classes))
        boxes[row, :held] = example.boxes[:held]
        classes[row, :held] = example.classes[:held]
        present[row, :held] = 1.0
    return Batch(np.stack([example.canvas for example in examples]), boxes, classes, present)


def _vary(rng: np.random.Generator, example: Example) -> Example:
    """Random zoom, crop, flip and brightness."""
    zoom = float(np.exp(rng.uniform(np.log(0.75), np.log(1.3))))
    spare = np.array([CANVAS_PX[1], CANVAS_PX[0]]) * zoom - [CROP_PX[1], CROP_PX[0]]
    shift = rng.uniform(np.minimum(spare, 0), np.maximum(spare, 0))
    flip = rng.random() < 0.5
    turn = np.array([[zoom, 0, -shift[0]], [0, zoom, -shift[1]]], np.float32)
    if flip:
        turn[0] = [-zoom, 0, CROP_PX[1] - 1 + shift[0]]
    size = (CROP_PX[1], CROP_PX[0])
    pixels = cv2.warpAffine(example.canvas, turn, size, flags=cv2.INTER_LINEAR, borderValue=(114.0, 114.0, 114.0))
    gain = rng.uniform(0.8, 1.2) * rng.uniform(0.95, 1.05, 3)
    lookup = np.clip(np.arange(256)[:, None] * gain, 0, 255).astype(np.uint8)
    pixels = cv2.LUT(pixels, np.ascontiguousarray(lookup[None].transpose(1, 0, 2)))
    boxes = example.boxes * zoom - np.tile(shift, 2)
    if flip:
        boxes[:, [0, 2]] = CROP_PX[1] - boxes[:, [2, 0]]
    return Example(np.asarray(pixels, np.uint8), *_clip(boxes, example.classes))


def _clip(boxes: NDArray[np.float32], classes: NDArray[np.int32]) -> tuple[NDArray[np.float32], NDArray[np.int32]]:
    # An animal mostly outside the crop is no fair question, so it is not asked.
    clipped = np.clip(boxes, 0, np.array([CROP_PX[1], CROP_PX[0]] * 2))
    before, after = (
        np.diff(boxes.reshape(-1, 2, 2), axis=1),
        np.diff(clipped.reshape(-1, 2, 2), axis=1),
    )
    shown = after.prod(axis=(1, 2)) / np.maximum(before.prod(axis=(1, 2)), 1e-6)
    kept = (shown >= _SHOWN) & (after.min(axis=(1, 2)) >= _SIDE_PX * 0.7)
    return clipped[kept].astype(np.float32), classes[kept]
