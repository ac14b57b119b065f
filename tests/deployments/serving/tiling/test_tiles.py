"""Tiling: every pixel is looked at, and the number of tiles is bounded."""

from itertools import pairwise

import numpy as np
import pytest

from deployments.definition import Tiling
from deployments.errors import InvalidRequest
from deployments.serving.tiling.tiles import MAX_TILES, Tile, cut_into_tiles

CANVAS_PX = (640, 640)


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
