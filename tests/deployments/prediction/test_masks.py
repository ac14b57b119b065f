"""Masks as run lengths, and back."""

import pickle
import time

import cv2
import numpy as np
import pytest

from deployments.prediction import Detections, Masks
from deployments.prediction.masks import MAX_RUNS

SIZE_PX = (6, 8)


def disc(size_px: tuple[int, int], x: float, y: float, radius: float) -> np.ndarray:
    rows, columns = np.mgrid[: size_px[0], : size_px[1]]
    found: np.ndarray = (rows - y) ** 2 + (columns - x) ** 2 <= radius**2
    return found


def masks_of(*masks: np.ndarray) -> Masks:
    return Masks.of(len(masks), masks.__getitem__, masks[0].shape)


def random_masks(count: int, size_px: tuple[int, int] = SIZE_PX) -> list[np.ndarray]:
    return list(np.random.default_rng(0).random((count, *size_px)) < 0.4)


def test_run_lengths_are_those_of_coco_column_by_column_and_outside_first() -> None:
    mask = np.array([[0, 1], [0, 1], [1, 0]], bool)
    found = masks_of(mask, ~mask)
    assert found.run_lengths.tolist() == [2, 3, 1, 0, 2, 3, 1]
    assert found.run_counts.tolist() == [3, 4]


def test_masks_come_back_as_they_were_also_when_some_are_picked_and_after_a_process_border() -> None:
    masks = [*random_masks(5), np.zeros(SIZE_PX, bool), np.ones(SIZE_PX, bool)]
    found: Masks = pickle.loads(pickle.dumps(masks_of(*masks)))
    assert len(found) == 7
    assert all((found.dense(index) == mask).all() for index, mask in enumerate(masks))
    order = [6, 0, 5]
    picked = found.picked(np.array(order))
    assert all((picked.dense(place) == masks[index]).all() for place, index in enumerate(order))
    assert len(found.picked(np.zeros(0, np.intp))) == 0


def test_no_masks_are_an_answer_too() -> None:
    found = Masks.of(0, random_masks(1).__getitem__, SIZE_PX)
    assert (len(found), found.size_px) == (0, SIZE_PX)


def test_an_outline_is_in_pixels_of_the_image_and_that_of_the_largest_piece() -> None:
    mask = disc((50, 100), 60, 20, 10) | disc((50, 100), 10, 10, 3)
    outline = masks_of(mask).outline(0, (500, 500))
    assert outline.dtype == np.float32
    np.testing.assert_allclose(outline.min(0), [250, 100], atol=0.01)
    np.testing.assert_allclose(outline.max(0), [350, 300], atol=0.01)


@pytest.mark.parametrize("pixels", [0, 1, 2])
def test_a_mask_of_hardly_any_pixels_has_no_outline(pixels: int) -> None:
    mask = np.zeros(SIZE_PX, bool)
    mask[0, :pixels] = True
    assert masks_of(mask).outline(0, SIZE_PX).shape == (0, 2)


@pytest.mark.parametrize("part", [0.0, 0.02, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("size_px", [(1, 1), (1, 7), (7, 1), (5, 6), (40, 30)])
def test_an_outline_is_the_one_that_is_seen_in_the_whole_mask(size_px: tuple[int, int], part: float) -> None:
    rng = np.random.default_rng(4)
    for _ in range(20):
        mask = rng.random(size_px) < part
        pieces, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
        largest = max((piece[:, 0] for piece in pieces), key=cv2.contourArea, default=np.zeros((0, 2)))
        expected = largest if len(largest) > 2 else np.zeros((0, 2))
        np.testing.assert_array_equal(masks_of(mask).outline(0, size_px), expected)


def test_a_mask_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match=r"a mask of \(8, 6\) on a grid of \(6, 8\)"):
        Masks.of(1, lambda index: np.zeros((8, 6), bool), SIZE_PX)


def test_noise_is_kept_in_fewer_pixels_so_that_an_answer_stays_small() -> None:
    noise = random_masks(1, (640, 640))[0]
    began_s = time.monotonic()
    found = Masks.of(1000, lambda index: noise, (640, 640))
    assert time.monotonic() - began_s < 5
    assert found.run_lengths.size <= MAX_RUNS
    step = 640 // found.size_px[0]
    assert step > 1
    assert (found.dense(999) == noise[::step, ::step]).all()


def test_more_masks_than_runs_come_to_an_end() -> None:
    count = MAX_RUNS // 2 + 1
    found = Masks.of(count, lambda index: np.ones((1, 1), bool), (1, 1))
    assert len(found) == count


def test_detections_are_picked_with_all_that_belongs_to_them() -> None:
    count = 3
    found = Detections(
        boxes=np.arange(12, dtype=np.float32).reshape(count, 4),
        scores=np.array([0.9, 0.8, 0.7], np.float32),
        class_ids=np.arange(count, dtype=np.int32),
        labels=("a", "b", "c"),
        masks=masks_of(*random_masks(count)),
        keypoints=np.arange(18, dtype=np.float32).reshape(count, 2, 3),
        corners=np.arange(24, dtype=np.float32).reshape(count, 4, 2),
    )
    picked = found.picked(np.array([2, 0]))
    assert picked.labels == ("c", "a")
    assert picked.boxes.tolist() == [[8, 9, 10, 11], [0, 1, 2, 3]]
    assert (picked.scores[0], picked.class_ids.tolist()) == (np.float32(0.7), [2, 0])
    assert picked.masks is not None
    assert picked.keypoints is not None
    assert picked.corners is not None
    assert (picked.masks.dense(0) == random_masks(count)[2]).all()
    assert picked.keypoints[1, 0].tolist() == [0, 1, 2]
    assert picked.corners[0, 0].tolist() == [16, 17]
