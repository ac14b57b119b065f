"""Masks that are made around their boxes are those that a whole canvas would give, in bounded time and memory."""

import time
import tracemalloc
from typing import Any

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from deployments.families.shared.letterbox import Letterbox, plan
from deployments.families.shared.nms import Suppression
from deployments.families.yolo.heads.ending import Place
from deployments.families.yolo.heads.mask_ending import MaskEnding
from deployments.prediction import Detections, Masks

MASKS = 8
EVERYTHING = Suppression(0.0, None, 1000)
BOXES = [
    (10.2, 20.7, 60.1, 90.0),
    (0.0, 0.0, 192.0, 128.0),
    (-30.0, -30.0, 20.5, 20.5),
    (150.3, 100.1, 300.0, 300.0),
    (50.0, 60.0, 50.4, 60.4),
    (191.2, 10.0, 191.9, 100.0),
    (1e30, 1e30, 2e30, 2e30),
]


def outputs_of(boxes: list[Any], canvas_px: tuple[int, int], factor: int = 4) -> tuple[NDArray[Any], ...]:
    """Smooth prototypes, so that masks are blobs as in life."""
    rng = np.random.default_rng(5)
    height, width = canvas_px[0] // factor, canvas_px[1] // factor
    prototypes = cv2.resize(rng.normal(size=(8, 8, MASKS)).astype(np.float32), (width, height))
    count = len(boxes)
    coefficients = rng.normal(size=(count, MASKS)).astype(np.float32)
    scores = np.linspace(0.9, 0.3, count).astype(np.float32)
    return np.array(boxes, np.float32), scores, np.zeros(count, np.int32), coefficients, prototypes


def place(geometry: Letterbox) -> Place:
    return Place(geometry, lambda boxes, one: one.to_image(boxes), ("fish",))


def masks_of(ending: MaskEnding, outputs: tuple[NDArray[Any], ...], geometry: Letterbox) -> tuple[Detections, Masks]:
    found = ending.detections(outputs, ending.kept(outputs, EVERYTHING), place(geometry))
    assert found.masks is not None
    return found, found.masks


def cut_last(outputs: tuple[NDArray[Any], ...], index: int, canvas_px: tuple[int, int]) -> NDArray[np.bool_]:
    boxes, _, _, coefficients, prototypes = outputs
    large = cv2.resize(prototypes @ coefficients[index], canvas_px[::-1], interpolation=cv2.INTER_LINEAR)
    return np.asarray((large > 0) & within(boxes[index], canvas_px))


def cut_first(outputs: tuple[NDArray[Any], ...], index: int, canvas_px: tuple[int, int]) -> NDArray[np.bool_]:
    boxes, _, _, coefficients, prototypes = outputs
    height, width, _ = prototypes.shape
    shares = 1 / (1 + np.exp(-(prototypes @ coefficients[index])))
    cut = shares * within(boxes[index] * (width / canvas_px[1]), (height, width))
    return np.asarray(cv2.resize(cut, canvas_px[::-1], interpolation=cv2.INTER_LINEAR) > 0.5)


def within(box: NDArray[Any], size_px: tuple[int, int]) -> NDArray[np.bool_]:
    rows, columns = np.mgrid[: size_px[0], : size_px[1]]
    x1, y1, x2, y2 = box
    return np.asarray((columns >= x1) & (columns < x2) & (rows >= y1) & (rows < y2))


@pytest.mark.parametrize("image_px", [(128, 192), (90, 150), (150, 100), (7, 900), (1000, 3)])
@pytest.mark.parametrize("factor", [1, 2, 4])
@pytest.mark.parametrize("is_cut_first", [False, True])
def test_a_mask_is_that_of_the_whole_canvas(image_px: tuple[int, int], factor: int, is_cut_first: bool) -> None:
    canvas_px = (128, 192)
    geometry = plan(image_px, canvas_px)
    outputs = outputs_of(BOXES, canvas_px, factor)
    found, masks = masks_of(MaskEnding(is_cut_first), outputs, geometry)
    whole = [(cut_first if is_cut_first else cut_last)(outputs, index, canvas_px) for index in range(len(BOXES))]
    if not is_cut_first:
        whole = [mask for mask in whole if mask.any()]
    assert len(found) == len(masks) == len(whole)
    (height, width), top, left = geometry.resized_px, geometry.pad_top_px, geometry.pad_left_px
    assert masks.size_px == (height, width)
    for index, mask in enumerate(whole):
        wanted = mask[top : top + height, left : left + width]
        # Pixels whose value is nearly the threshold may fall to either side.
        assert (masks.dense(index) != wanted).sum() <= 1e-4 * mask.size


def test_a_detection_without_a_mask_is_left_out_as_the_original_does() -> None:
    boxes = [(10.0, 10.0, 50.0, 50.0), (60.0, 60.0, 100.0, 100.0)]
    outputs = outputs_of(boxes, (128, 192))
    outputs[3][0] = 0.0
    outputs[3][1] = np.nan
    for is_cut_first, left in ((False, 0), (True, 2)):
        found, masks = masks_of(MaskEnding(is_cut_first), outputs, plan((128, 192), (128, 192)))
        assert len(found) == len(masks) == left
        assert all(not masks.dense(index).any() for index in range(left))


@pytest.mark.parametrize("is_cut_first", [False, True])
def test_hundreds_of_masks_of_a_4k_frame_take_neither_gigabytes_nor_seconds(is_cut_first: bool) -> None:
    """300 animals of 40 to 160 pixels of the canvas, and one that fills it, on a canvas of 1280 x 1280."""
    rng, canvas_px = np.random.default_rng(3), (1280, 1280)
    corners, sizes = rng.uniform(0, 1100, (300, 2)), rng.uniform(40, 160, (300, 2))
    boxes = [(0, 0, 1280, 1280), *np.concatenate([corners, corners + sizes], axis=1).tolist()]
    outputs, geometry = outputs_of(boxes, canvas_px), plan((2160, 3840), canvas_px)
    tracemalloc.start()
    began_at_s = time.process_time()
    found, masks = masks_of(MaskEnding(is_cut_first), outputs, geometry)
    took_s, (_, peak_bytes) = time.process_time() - began_at_s, tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(found) > 200
    assert masks.run_lengths.nbytes < 2_000_000
    assert peak_bytes < 60_000_000
    assert took_s < 3.0
