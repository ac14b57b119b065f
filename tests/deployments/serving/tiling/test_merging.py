"""Tiling: every pixel is looked at, and pieces of cut objects give way to the entire ones."""

import time
from itertools import pairwise

import numpy as np
import pytest

from deployments.definition import Tiling
from deployments.errors import InvalidRequest
from deployments.families.contract import Thresholds
from deployments.prediction import Detections
from deployments.request import MAX_DETECTIONS_LIMIT
from deployments.serving.tiling import MAX_TILES, MERGED_BOXES, Tile, cut_into_tiles, merge

LIMITS = Thresholds(score_threshold=0.25, iou_threshold=0.45, max_detections=1000)
SIZE_PX = (600, 1000)
CANVAS_PX = (640, 640)


def found(*rows: tuple[str, float, tuple[float, float, float, float]]) -> Detections:
    return Detections(
        boxes=np.array([row[2] for row in rows], np.float32).reshape(-1, 4),
        scores=np.array([row[1] for row in rows], np.float32),
        class_ids=np.array([("crab", "fish").index(row[0]) for row in rows], np.int32),
        labels=tuple(row[0] for row in rows),
    )


@pytest.mark.parametrize("size_px", [(2160, 3200), (641, 640), (640, 5000), (1000, 1000)])
@pytest.mark.parametrize("overlap", [0.0, 0.2, 0.5])
def test_tiles_cover_every_pixel_and_overlap_enough(size_px: tuple[int, int], overlap: float) -> None:
    tiles = cut_into_tiles(size_px, Tiling(overlap=overlap, whole_frame=False), CANVAS_PX)
    seen = np.zeros(size_px, np.int32)
    for tile in tiles:
        seen[tile.top_px : tile.bottom_px, tile.left_px : tile.right_px] += 1
        assert tile.bottom_px - tile.top_px == min(640, size_px[0])
        assert tile.right_px - tile.left_px == min(640, size_px[1])
    assert seen.min() >= 1
    lefts = sorted({tile.left_px for tile in tiles})
    assert all(640 - (right - left) >= 640 * overlap - 1 for left, right in pairwise(lefts))


def test_the_whole_frame_comes_first_where_asked_for() -> None:
    tiles = cut_into_tiles((1080, 1920), Tiling(), CANVAS_PX)
    assert tiles[0] == Tile(0, 0, 1080, 1920)
    assert len(tiles) == 1 + 2 * 4
    assert Tile(0, 0, 1080, 1920) not in cut_into_tiles((1080, 1920), Tiling(whole_frame=False), CANVAS_PX)


def test_an_image_that_fits_one_tile_is_looked_at_once() -> None:
    assert cut_into_tiles((480, 640), Tiling(), CANVAS_PX) == (Tile(0, 0, 480, 640),)


def test_too_many_tiles_are_refused_with_the_numbers() -> None:
    small = Tiling(tile_height_px=64, tile_width_px=64)
    with pytest.raises(InvalidRequest, match=rf"tiling: .*64 x 64 .* 3840 x 2160 into \d+ .* {MAX_TILES}"):
        cut_into_tiles((2160, 3840), small, CANVAS_PX)


@pytest.mark.parametrize(("columns", "is_refused"), [(63, False), (64, True)])
def test_the_whole_frame_counts_as_a_piece(columns: int, is_refused: bool) -> None:
    tiling = Tiling(tile_height_px=64, tile_width_px=64, overlap=0)
    if is_refused:
        with pytest.raises(InvalidRequest, match="65 pieces"):
            cut_into_tiles((64, 64 * columns), tiling, CANVAS_PX)
    else:
        assert len(cut_into_tiles((64, 64 * columns), tiling, CANVAS_PX)) == MAX_TILES


def test_a_tile_is_as_large_as_the_canvas_where_nothing_is_said() -> None:
    tiles = cut_into_tiles((800, 1000), Tiling(tile_height_px=400, whole_frame=False), (300, 500))
    assert {(tile.bottom_px - tile.top_px, tile.right_px - tile.left_px) for tile in tiles} == {(400, 500)}


def test_a_tile_is_a_view_of_its_pixels() -> None:
    pixels = np.zeros((600, 1000, 3), np.uint8)
    piece = Tile(100, 200, 300, 500).cut(pixels)
    assert piece.shape == (200, 300, 3)
    assert np.shares_memory(piece, pixels)


def test_boxes_are_moved_to_where_their_tile_lies() -> None:
    merged = merge([(Tile(100, 400, 600, 1000), found(("crab", 0.9, (10, 20, 60, 80))))], SIZE_PX, LIMITS)
    np.testing.assert_array_equal(merged.boxes, [[410, 120, 460, 180]])


def test_one_animal_seen_by_two_tiles_is_one_detection_the_better() -> None:
    left, right = Tile(0, 0, 600, 600), Tile(0, 400, 600, 1000)
    parts = [
        (left, found(("crab", 0.8, (450, 50, 550, 150)))),
        (right, found(("crab", 0.9, (52, 50, 152, 150)))),
    ]
    merged = merge(parts, SIZE_PX, LIMITS)
    assert merged.labels == ("crab",)
    assert merged.scores.tolist() == pytest.approx([0.9])


def test_a_cut_animal_gives_way_to_the_entire_one_whatever_its_score() -> None:
    left, right = Tile(0, 0, 600, 600), Tile(0, 400, 600, 1000)
    parts = [
        (left, found(("crab", 0.95, (560, 50, 600, 150)))),
        (right, found(("crab", 0.6, (160, 50, 360, 150)))),
    ]
    merged = merge(parts, SIZE_PX, LIMITS)
    np.testing.assert_array_equal(merged.boxes, [[560, 50, 760, 150]])


def test_a_piece_of_another_class_or_at_the_image_s_own_edge_stays() -> None:
    left, right = Tile(0, 0, 600, 600), Tile(0, 400, 600, 1000)
    parts = [
        (left, found(("fish", 0.9, (560, 50, 600, 150)), ("crab", 0.8, (0, 200, 30, 300)))),
        (right, found(("crab", 0.7, (160, 50, 360, 150)))),
    ]
    assert merge(parts, SIZE_PX, LIMITS).labels == ("fish", "crab", "crab")


def test_a_small_animal_on_a_large_one_stays() -> None:
    whole, right = Tile(0, 0, 600, 1000), Tile(0, 400, 600, 1000)
    parts = [
        (whole, found(("crab", 0.9, (300, 0, 900, 600)))),
        (right, found(("crab", 0.8, (100, 100, 140, 140)))),
    ]
    assert len(merge(parts, SIZE_PX, LIMITS)) == 2


def test_nothing_found_merges_to_nothing_and_the_number_is_bounded() -> None:
    tile = Tile(0, 0, 600, 1000)
    assert len(merge([(tile, found()), (tile, found())], SIZE_PX, LIMITS)) == 0
    rows = [("crab", 0.5 + index / 100, (index * 90.0, 0.0, index * 90 + 50.0, 50.0)) for index in range(8)]
    few = merge([(tile, found(*rows))], SIZE_PX, Thresholds(0.25, 0.45, 3))
    assert few.scores.tolist() == pytest.approx([0.57, 0.56, 0.55])


def crowded(kind: str, tiles: int = MAX_TILES, boxes: int = MAX_DETECTIONS_LIMIT) -> list[tuple[Tile, Detections]]:
    """The most that the tiles of one image can answer. kind: whether half of the boxes are pieces, or all cover each
    other at a few places."""
    rng = np.random.default_rng(0)
    places = [Tile(top, left, top + 640, left + 640) for top in range(0, 4096, 512) for left in range(0, 4096, 512)]
    parts = []
    for tile in places[:tiles]:
        low = rng.uniform(0, 600, (boxes, 2))
        if kind == "few places":
            low = np.floor(low / 160) * 160
        corners = np.concatenate([low, low + 30], axis=1).astype(np.float32)
        if kind == "pieces":
            corners[::2, 0] = 0
        scores = np.sort(rng.uniform(0.3, 1, boxes))[::-1].astype(np.float32)
        parts.append((tile, Detections(corners, scores, np.zeros(boxes, np.int32), ("crab",) * boxes)))
    return parts


@pytest.mark.parametrize("kind", ["pieces", "few places", "any"])
@pytest.mark.parametrize("iou_threshold", [0.45, 1.0])
def test_merging_the_most_boxes_of_the_most_tiles_is_bounded_work(kind: str, iou_threshold: float) -> None:
    parts = crowded(kind)
    limits = Thresholds(0.25, iou_threshold, MAX_DETECTIONS_LIMIT)
    began_s = time.thread_time()
    merged = merge(parts, (4224, 4224), limits)
    # Some tenths of a second on an idle core; what grows with the square of all boxes takes a minute.
    assert time.thread_time() - began_s < 3
    assert 0 < len(merged) <= MAX_DETECTIONS_LIMIT


def test_of_more_boxes_than_are_merged_the_best_are() -> None:
    parts = crowded("any")
    merged = merge(parts, (4224, 4224), Thresholds(0.25, 1.0, MAX_DETECTIONS_LIMIT))
    scores = np.sort(np.concatenate([found.scores for _, found in parts]))[::-1]
    assert merged.scores[0] == scores[0]
    assert merged.scores[-1] >= scores[MERGED_BOXES - 1]
    assert list(merged.scores) == sorted(merged.scores, reverse=True)
