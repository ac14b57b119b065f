"""Tiling: a large frame is looked at in overlapping pieces, so that animals of a few pixels are found.

The idea is that of slicing aided
inference (Akyon et al. 2022, arXiv:2202.06934). Its known fault, an object cut by the edge of a tile that is
answered twice, is met by the overlap: what one tile cuts, its neighbour or the whole frame shows entire.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from deployments.definition import Tiling
from deployments.errors import InvalidRequest
from deployments.families.contract import Thresholds
from deployments.families.shared.nms import Suppression, suppress
from deployments.prediction import Detections
from deployments.request import Region

MAX_TILES = 64
"""More pieces than this, the whole frame among them, are refused: one request would hold a model for too long."""

MERGED_BOXES = 8192
"""Best boxes of all pieces of an image that are merged: eight times what is ever answered. The work grows with the
square of it, and stays below half a second of one core."""

_EDGE_PX = 2.0
_COVERED_FROM = 0.6
_BLOCK = 256


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


def merge(
    parts: Sequence[tuple[Tile, Detections]], image_size_px: tuple[int, int], thresholds: Thresholds
) -> Detections:
    """One list for the image from the lists of its tiles, whose boxes and keypoints are in pixels of the tile; best
    first.

    A box that ends at an inner edge of its tile is the piece of an object. It gives way, whatever its score, to an
    entire box of its class that covers most of it; then boxes of one class are thinned by IoU as everywhere.
    Inner means that the image goes on beyond it. image_size_px: (height, width). Only the best `MERGED_BOXES` of all
    tiles are looked at.
    """
    found = joined(parts)
    pieces = np.concatenate([_is_piece(tile, one.boxes, image_size_px) for tile, one in parts])
    best = _best(found.scores, MERGED_BOXES)
    standing = best[~_is_covered(found.boxes[best], found.class_ids[best], pieces[best])]
    rule = Suppression(thresholds.score_threshold, thresholds.iou_threshold, thresholds.max_detections)
    kept = suppress(found.boxes[standing], found.scores[standing], found.class_ids[standing], rule)
    return found.picked(standing[kept])


def joined(parts: Sequence[tuple[Tile, Detections]]) -> Detections:
    """What all tiles have found, in pixels of the image, one tile after another and not merged."""
    boxes = [found.boxes.reshape(-1, 4) + np.tile(_corner(tile), 2) for tile, found in parts]
    points = [
        np.concatenate([found.keypoints[..., :2] + _corner(tile), found.keypoints[..., 2:]], axis=-1)
        for tile, found in parts
        if found.keypoints is not None
    ]
    return Detections(
        boxes=np.concatenate(boxes),
        scores=np.concatenate([found.scores for _, found in parts]),
        class_ids=np.concatenate([found.class_ids for _, found in parts]),
        labels=tuple(label for _, found in parts for label in found.labels),
        keypoints=np.concatenate(points) if points else None,
    )


def _corner(tile: Tile) -> NDArray[np.float32]:
    return np.array([tile.left_px, tile.top_px], np.float32)


def _starts(side_px: int, tile_px: int, overlap: float) -> list[int]:
    if side_px <= tile_px:
        return [0]
    shared_px = tile_px * overlap
    count = math.ceil((side_px - shared_px) / (tile_px - shared_px))
    return [round(index * (side_px - tile_px) / (count - 1)) for index in range(count)]


def _is_piece(tile: Tile, boxes: NDArray[np.float32], image_size_px: tuple[int, int]) -> NDArray[np.bool_]:
    height, width = tile.bottom_px - tile.top_px, tile.right_px - tile.left_px
    x1, y1, x2, y2 = boxes.reshape(-1, 4).T
    return (
        ((x1 <= _EDGE_PX) & (tile.left_px > 0))
        | ((y1 <= _EDGE_PX) & (tile.top_px > 0))
        | ((x2 >= width - _EDGE_PX) & (tile.right_px < image_size_px[1]))
        | ((y2 >= height - _EDGE_PX) & (tile.bottom_px < image_size_px[0]))
    )


def _best(scores: NDArray[np.float32], most: int) -> NDArray[np.intp]:
    """Indices of the best `most` scores, in their order."""
    if len(scores) <= most:
        return np.arange(len(scores))
    return np.sort(np.argpartition(-scores, most - 1)[:most])


def _is_covered(
    boxes: NDArray[np.float32], class_ids: NDArray[np.int32], pieces: NDArray[np.bool_]
) -> NDArray[np.bool_]:
    """Of each piece, whether an entire box of its class covers most of it; False for entire boxes."""
    covered = np.zeros(len(boxes), np.bool_)
    for class_id in np.unique(class_ids[pieces]):
        of_class = class_ids == class_id
        entire = boxes[of_class & ~pieces]
        cut = np.flatnonzero(of_class & pieces)
        for start in range(0, len(cut), _BLOCK):
            block = cut[start : start + _BLOCK]
            x1, y1, x2, y2 = boxes[block].T[:, :, None]
            wide = np.minimum(x2, entire[:, 2]) - np.maximum(x1, entire[:, 0])
            tall = np.minimum(y2, entire[:, 3]) - np.maximum(y1, entire[:, 1])
            shared = (np.maximum(wide, 0.0) * np.maximum(tall, 0.0)).max(axis=1, initial=0.0)
            area = ((x2 - x1) * (y2 - y1))[:, 0]
            covered[block] = (area <= 0) | (shared >= _COVERED_FROM * area)
    return covered
