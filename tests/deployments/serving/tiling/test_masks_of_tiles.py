"""Masks of tiles become masks of the image: an object inside one tile has the mask it has without tiles, and one on a
seam is one detection, its mask the union of its pieces."""

import time
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deployments.definition import Tiling
from deployments.prediction import Detections, Masks
from deployments.prediction.masks import MAX_RUNS
from deployments.request import MAX_DETECTIONS_LIMIT
from deployments.serving.tiling.merging import joined, merge
from deployments.serving.tiling.tiles import Tile, cut_into_tiles
from tests.deployments.serving.tiling.seen_in_tiles import LIMITS, dense, ellipse, seen, with_masks

SIZE_PX = (300, 400)
TILES = cut_into_tiles(
    SIZE_PX, Tiling(tile_height_px=160, tile_width_px=160, overlap=0.25, whole_frame=False), (160, 160)
)
TOUCHING = (Tile(0, 0, 300, 200), Tile(0, 200, 300, 400))

animals = st.builds(
    ellipse,
    st.just(SIZE_PX),
    st.tuples(st.integers(0, 399), st.integers(0, 299)),
    st.tuples(st.integers(3, 120), st.integers(3, 120)),
    st.floats(0, 180),
)


@settings(max_examples=60, deadline=None)
@given(animals)
def test_an_animal_of_any_size_anywhere_is_one_with_the_mask_that_it_has_without_tiles(bright: np.ndarray) -> None:
    untiled = with_masks(bright)
    merged = merge(seen(bright, TILES), SIZE_PX, LIMITS)
    assert len(merged) == len(untiled) == 1
    np.testing.assert_array_equal(merged.boxes, untiled.boxes)
    assert merged.masks is not None
    assert merged.masks.size_px == SIZE_PX
    np.testing.assert_array_equal(dense(merged)[0], bright)


def test_the_pieces_of_one_on_a_seam_have_the_best_of_their_scores_and_the_box_around_them() -> None:
    bright = ellipse(SIZE_PX, (200, 150), (150, 40), 0)
    parts = seen(bright, TILES)
    merged = merge(parts, SIZE_PX, LIMITS)
    assert len(merged) == 1
    np.testing.assert_array_equal(merged.boxes, [[50, 110, 351, 191]])
    assert merged.scores[0] == max(found.scores.max() for _, found in parts if len(found))


def test_tiles_that_only_touch_are_joined_along_their_line() -> None:
    merged = merge(seen(ellipse(SIZE_PX, (200, 150), (150, 40), 10), TOUCHING), SIZE_PX, LIMITS)
    assert len(merged) == 1
    np.testing.assert_array_equal(dense(merged)[0], ellipse(SIZE_PX, (200, 150), (150, 40), 10))


def test_two_animals_side_by_side_on_a_seam_stay_two() -> None:
    upper, lower = (ellipse(SIZE_PX, (200, y), (150, 20), 0) for y in (60, 110))
    merged = merge(seen(upper | lower, TILES), SIZE_PX, LIMITS)
    assert len(merged) == 2
    assert {tuple(mask.any(axis=1).nonzero()[0][[0, -1]]) for mask in dense(merged)} == {(40, 80), (90, 130)}


def test_pieces_of_two_animals_whose_boxes_cross_stay_two() -> None:
    """One ends where the other begins, and their boxes share the strip that both tiles see."""
    left, right = Tile(0, 0, 300, 240), Tile(0, 160, 300, 400)
    one, other = np.zeros(SIZE_PX, bool), np.zeros(SIZE_PX, bool)
    one[100:140, 20:240], other[120:200, 160:380] = True, True
    one[120:140, 160:240], other[120:140] = False, False
    parts = [(left, with_masks(one[:, :240])), (right, with_masks(other[:, 160:]))]
    assert len(merge(parts, SIZE_PX, LIMITS)) == 2


def test_pieces_of_two_classes_stay_two() -> None:
    parts = seen(ellipse(SIZE_PX, (200, 150), (150, 40), 0), TOUCHING)
    tile, found = parts[1]
    parts[1] = tile, replace(found, class_ids=found.class_ids + 1, labels=("fish",))
    assert len(merge(parts, SIZE_PX, LIMITS)) == 2


def test_the_whole_frame_answers_for_what_no_tile_shows_entire_with_its_own_coarser_mask() -> None:
    bright = ellipse(SIZE_PX, (200, 150), (150, 40), 0) | ellipse(SIZE_PX, (60, 40), (10, 10), 0)
    whole = (Tile(0, 0, *SIZE_PX), with_masks(bright, shrink=4))
    merged = merge([whole, *seen(bright, TILES)], SIZE_PX, LIMITS)
    assert len(merged) == 2
    assert merged.masks is not None
    assert merged.masks.size_px == SIZE_PX
    large, small = dense(merged)
    np.testing.assert_array_equal(large, np.kron(bright[::4, ::4] & (np.arange(75) > 15)[:, None], np.ones((4, 4))))
    np.testing.assert_array_equal(small, ellipse(SIZE_PX, (60, 40), (10, 10), 0))


def test_the_grid_is_as_fine_as_that_of_the_tiles() -> None:
    bright = ellipse(SIZE_PX, (200, 150), (150, 40), 0)
    parts = [
        (tile, with_masks(np.ascontiguousarray(bright[:, tile.left_px : tile.right_px]), 2)) for tile in TOUCHING
    ]
    merged = merge(parts, SIZE_PX, LIMITS)
    assert merged.masks is not None
    assert merged.masks.size_px == (150, 200)
    np.testing.assert_array_equal(dense(merged)[0], bright[::2, ::2])


def test_masks_of_a_region_lie_on_a_grid_of_the_image() -> None:
    bright = ellipse(SIZE_PX, (200, 150), (50, 40), 0)
    found = joined(seen(bright, [Tile(100, 130, 220, 270)]), SIZE_PX)
    np.testing.assert_array_equal(dense(found)[0], bright & ellipse(SIZE_PX, (200, 150), (50, 400), 0))


def test_tiles_without_anything_are_an_answer_with_no_mask() -> None:
    merged = merge(seen(np.zeros(SIZE_PX, bool), TILES), SIZE_PX, LIMITS)
    assert merged.masks is not None
    assert (len(merged), len(merged.masks)) == (0, 0)


def crowd(kind: str) -> list[tuple[Tile, Detections]]:
    """The most that 64 tiles answer: squares of 30 x 30, noise, or masks that fill their tiles, all of them cut."""
    rng = np.random.default_rng(0)
    count, runs = MAX_DETECTIONS_LIMIT, 4 * MAX_RUNS // 64
    low = rng.integers(0, 600, (count, 2))
    mask = np.zeros((640, 640), bool)
    if kind == "noise":
        mask[:, :5] = rng.random((640, 5)) < 0.5
    if kind == "full":
        mask[:] = True
    lengths = Masks.of(1, lambda _: mask, (640, 640)).run_lengths
    several = [lengths] * min(count, runs // len(lengths))
    if kind == "squares":
        several = []
        for x, y in low:
            mask = np.zeros((640, 640), bool)
            mask[y : y + 30, x : x + 30] = True
            several.append(Masks.of(1, mask[None].__getitem__, (640, 640)).run_lengths)
    count = len(several)
    masks = Masks((640, 640), np.concatenate(several), np.array([len(one) for one in several], np.int32))
    boxes = np.concatenate([low, low + 30], axis=1)[:count].astype(np.float32)
    boxes[:, 0] = 0
    scores = np.sort(rng.uniform(0.3, 1, count))[::-1].astype(np.float32)
    found = Detections(boxes, scores, np.zeros(count, np.int32), ("crab",) * count, masks)
    return [(Tile(y, x, y + 640, x + 640), found) for y in range(0, 4096, 512) for x in range(0, 4096, 512)]


@pytest.mark.parametrize("kind", ["squares", "noise", "full"])
def test_joining_the_most_masks_of_the_most_tiles_is_bounded_work(kind: str) -> None:
    parts = crowd(kind)
    limits = replace(LIMITS, iou_threshold=1.0)
    began_s = time.thread_time()
    merged = merge(parts, (4224, 4224), limits)
    assert time.thread_time() - began_s < 6
    assert merged.masks is not None
    assert len(merged.masks) == len(merged)
    assert merged.masks.run_lengths.size <= MAX_RUNS
