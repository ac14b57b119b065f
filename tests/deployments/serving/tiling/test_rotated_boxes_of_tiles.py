"""Rotated boxes of tiles become one list by ProbIoU, and a piece gives way to an entire box that covers it."""

import time

import numpy as np
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from deployments.definition import Tiling
from deployments.prediction import Detections
from deployments.request import MAX_DETECTIONS_LIMIT
from deployments.serving.tiling.merging import merge
from deployments.serving.tiling.tiles import Tile, cut_into_tiles
from tests.deployments.serving.tiling.seen_in_tiles import LIMITS, ellipse, seen_rotated, with_corners

SIZE_PX = (300, 400)
TILES = cut_into_tiles(
    SIZE_PX, Tiling(tile_height_px=160, tile_width_px=160, overlap=0.5, whole_frame=False), (160, 160)
)


def turned(*boxes: tuple[float, float, float, float, float]) -> Detections:
    """Boxes of one class from centre x y, width, height and degrees; best first."""
    corners = []
    for x, y, wide, tall, degrees in boxes:
        cos, sin = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
        along, across = np.array([cos, sin]) * wide / 2, np.array([-sin, cos]) * tall / 2
        middle = np.array([x, y])
        corners.append(
            [middle + along + across, middle + along - across, middle - along - across, middle - along + across]
        )
    found = np.array(corners, np.float32)
    around = np.clip(np.concatenate([found.min(axis=1), found.max(axis=1)], axis=1), 0, [160, 160, 160, 160])
    scores = np.linspace(0.9, 0.5, len(boxes)).astype(np.float32)
    none = np.zeros(len(boxes), np.int32)
    return Detections(around.astype(np.float32), scores, none, ("crab",) * len(boxes), corners=found)


@settings(max_examples=60, deadline=None)
@given(
    st.tuples(st.integers(40, 360), st.integers(40, 260)),
    st.tuples(st.integers(20, 35), st.integers(5, 12)),
    st.floats(0, 180),
)
def test_an_animal_that_some_tile_shows_entire_is_the_one_box_that_it_is_without_tiles(
    middle: tuple[int, int], axes_px: tuple[int, int], degrees: float
) -> None:
    bright = ellipse(SIZE_PX, middle, axes_px, degrees)
    untiled = with_corners(bright)
    x1, y1, x2, y2 = untiled.boxes[0]
    assume(any(
        x1 > tile.left_px + 3 and x2 < tile.right_px - 3 and y1 > tile.top_px + 3 and y2 < tile.bottom_px - 3
        for tile in TILES
    ))  # fmt: skip
    merged = merge(seen_rotated(bright, TILES), SIZE_PX, LIMITS)
    assert len(merged) == 1
    assert merged.corners is not None
    assert untiled.corners is not None
    np.testing.assert_allclose(merged.corners, untiled.corners, atol=1e-3)


def test_long_animals_side_by_side_stay_though_their_upright_boxes_are_nearly_one() -> None:
    """By IoU of upright boxes, or by how much of them is shared, three of the four would go."""
    left = turned((80, 80, 140, 8, 45), (80, 100, 140, 8, 45))
    right = turned((70, 80, 140, 8, 45), (70, 100, 140, 8, 45))
    merged = merge([(Tile(0, 0, 160, 160), left), (Tile(0, 10, 160, 170), right)], SIZE_PX, LIMITS)
    assert len(merged) == 2
    assert merged.corners is not None
    np.testing.assert_allclose(np.sort(merged.corners.mean(axis=1)[:, 1]), [80, 100], atol=1e-3)


def test_a_piece_gives_way_only_to_the_entire_box_that_lies_on_it() -> None:
    piece = turned((150, 80, 60, 10, 45))
    on_it, beside = turned((10, 90, 80, 12, 45)), turned((10, 120, 80, 12, 45))
    tiles = Tile(0, 0, 160, 160), Tile(0, 150, 160, 310)
    assert len(merge([(tiles[0], piece), (tiles[1], on_it)], SIZE_PX, LIMITS)) == 1
    assert len(merge([(tiles[0], piece), (tiles[1], beside)], SIZE_PX, LIMITS)) == 2


def test_merging_the_most_rotated_boxes_is_bounded_work() -> None:
    """All of one class and in one place, half of them pieces."""
    rng = np.random.default_rng(0)
    boxes = rng.uniform((60, 60, 20, 20, 0), (90, 90, 30, 30, 180), (MAX_DETECTIONS_LIMIT, 5))
    boxes[::2, 0] = 155
    found = turned(*boxes.tolist())
    began_s = time.thread_time()
    merged = merge([(Tile(y, 0, y + 160, 160), found) for y in range(64)], SIZE_PX, LIMITS)
    assert time.thread_time() - began_s < 6
    assert len(merged) > 0
