"""Tiling: a large frame is looked at in overlapping tiles, so that animals of a few pixels are found.

The idea is that of slicing aided inference (Akyon et al. 2022, arXiv:2202.06934). Its known fault, an object cut by
the edge of a tile that is answered twice, is met by the overlap: what one tile cuts, its neighbour or the whole frame
shows entire.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from deployments.definition import Tiling
from deployments.errors import InvalidRequest
from deployments.request import Region

MAX_TILES = 64
"""More pieces than this, the whole frame among them, are refused: one request would hold a model for too long."""


@dataclass(frozen=True, slots=True)
class Tile:
    """A piece of an image, in its pixels; `bottom_px` and `right_px` are exclusive."""

    top_px: int
    left_px: int
    bottom_px: int
    right_px: int

    def cut(self, pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The piece of `pixels` (height, width, 3): a view, no copy."""
        return pixels[self.top_px : self.bottom_px, self.left_px : self.right_px]

    def shifted(self, down_px: int, right_px: int) -> Self:
        """The same piece, in pixels of an image that begins above it and to its left."""
        return type(self)(
            self.top_px + down_px, self.left_px + right_px, self.bottom_px + down_px, self.right_px + right_px
        )


def cut_into_tiles(image_size_px: tuple[int, int], tiling: Tiling, input_px: tuple[int, int]) -> tuple[Tile, ...]:
    """The tiles of an image of (height, width), the whole frame first where asked for or where it fits one tile.

    input_px: height and width of the model's input, for a tile's sides where `tiling` does not say. Tiles of one
    image have one size and are evenly spread. Raises InvalidRequest when there are too many.
    """
    height, width = image_size_px
    tile_height, tile_width = tiling.tile_height_px or input_px[0], tiling.tile_width_px or input_px[1]
    rows = _starts(height, tile_height, tiling.overlap)
    columns = _starts(width, tile_width, tiling.overlap)
    whole = Tile(0, 0, height, width)
    if len(rows) * len(columns) == 1:
        return (whole,)
    count = len(rows) * len(columns) + tiling.whole_frame
    if count > MAX_TILES:
        raise InvalidRequest(
            f"tiling: tiles of {tile_width} x {tile_height} pixels that overlap by {tiling.overlap:g} cut an image "
            f"of {width} x {height} into {count} pieces, the limit is {MAX_TILES}; use larger tiles"
        )
    tiles = [
        Tile(top, left, min(top + tile_height, height), min(left + tile_width, width))
        for top in rows
        for left in columns
    ]
    return (whole, *tiles) if tiling.whole_frame else tuple(tiles)


def cut_into_regions(
    image_size_px: tuple[int, int], regions: Sequence[Region], tiling: Tiling | None, input_px: tuple[int, int]
) -> tuple[Tile, ...]:
    """The regions of an image of (height, width), each of them cut into tiles where `tiling` says so.

    Raises InvalidRequest for a region that is not in the image, and when there are too many tiles.
    """
    height, width = image_size_px
    tiles: list[Tile] = []
    for index, (x1, y1, x2, y2) in enumerate(regions):
        if x2 > width or y2 > height:
            raise InvalidRequest(
                f"regions[{index}] ends at x2 = {x2}, y2 = {y2}, outside the image of {width} x {height} pixels"
            )
        if tiling is None:
            tiles.append(Tile(y1, x1, y2, x2))
        else:
            tiles += [tile.shifted(y1, x1) for tile in cut_into_tiles((y2 - y1, x2 - x1), tiling, input_px)]
    if len(tiles) > MAX_TILES:
        raise InvalidRequest(
            f"regions: their tiles are {len(tiles)} pieces, the limit is {MAX_TILES}; use larger tiles"
        )
    return tuple(tiles)


def _starts(side_px: int, tile_px: int, overlap: float) -> list[int]:
    if side_px <= tile_px:
        return [0]
    shared_px = tile_px * overlap
    count = math.ceil((side_px - shared_px) / (tile_px - shared_px))
    return [round(index * (side_px - tile_px) / (count - 1)) for index in range(count)]
