"""Boxes of tiles become one list: pieces of cut objects give way to the entire ones, and the work is bounded."""

import time

import numpy as np
import pytest

from deployments.families.contract import Thresholds
from deployments.prediction import Detections
from deployments.request import MAX_DETECTIONS_LIMIT
from deployments.serving.tiling.merging import MERGED_BOXES, merge
from deployments.serving.tiling.tiles import MAX_TILES, Tile

LIMITS = Thresholds(score_threshold=0.25, iou_threshold=0.45, max_detections=1000)
SIZE_PX = (600, 1000)


def found(*rows: tuple[str, float, tuple[float, float, float, float]]) -> Detections:
    return Detections(
        boxes=np.array([row[2] for row in rows], np.float32).reshape(-1, 4),
        scores=np.array([row[1] for row in rows], np.float32),
        class_ids=np.array([("crab", "fish").index(row[0]) for row in rows], np.int32),
        labels=tuple(row[0] for row in rows),
    )


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
