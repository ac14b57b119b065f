"""What is found in the tiles of an image becomes one list: pieces give way or are joined, and overlaps go.

A box that ends at an inner edge of its tile is the piece of an object. It gives way, whatever its score, to an entire
box of its class that covers most of it. Pieces with masks that no entire box covers are joined where their masks
agree. Then objects of one class are thinned by IoU as everywhere, rotated boxes by ProbIoU.

`sahi` of Akyon et al. 2022 (arXiv:2202.06934) merges instead whatever overlaps by half of the smaller box
(`GreedyNMMPostprocess`), so that a small animal on a large one disappears, and the halves of one that is much larger
than the overlap of two tiles are answered twice.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from deployments.families.contract import Thresholds
from deployments.families.shared.nms import Suppression, suppress
from deployments.families.shared.rotated_nms import suppress_rotated
from deployments.prediction import Detections
from deployments.prediction.placed_masks import Chosen, MaskedPart, placed
from deployments.serving.tiling.mask_seams import Piece, belonging_together
from deployments.serving.tiling.pieces import is_covered, is_piece
from deployments.serving.tiling.tiles import Tile

MERGED_BOXES = 8192
"""Best boxes of all tiles of an image that are merged: eight times what is ever answered. The work grows with the
square of it, and stays below half a second of one core."""

MERGED_ROTATED = 2048
"""The same, of rotated boxes."""

Parts = Sequence[tuple[Tile, Detections]]
"""What is found in each tile, in pixels of the tile."""

Objects = Sequence[Sequence[Chosen]]
"""The masks that each detection is made of."""


def merge(parts: Parts, image_size_px: tuple[int, int], thresholds: Thresholds) -> Detections:
    """One list for the image from the lists of its tiles, best first.

    Inner edges are those beyond which the image goes on. image_size_px: (height, width). Only the best `MERGED_BOXES`
    or `MERGED_ROTATED` of all tiles are looked at.
    """
    found, origins = _together(parts, image_size_px)
    pieces = np.concatenate([is_piece(tile, one.boxes, image_size_px) for tile, one in parts])
    best = _best(found.scores, MERGED_BOXES if found.corners is None else MERGED_ROTATED)
    found, pieces, origins = found.picked(best), pieces[best], [origins[index] for index in best]
    standing = np.flatnonzero(~is_covered(found, pieces))
    found, pieces = found.picked(standing), pieces[standing]
    objects: Objects = [(origins[index],) for index in standing.tolist()]
    if _has_masks(parts):
        found, pieces, objects = _pieces_joined(parts, found, pieces, objects)
        standing = np.flatnonzero(~is_covered(found, pieces))
        found, objects = found.picked(standing), [objects[index] for index in standing.tolist()]
    rule = Suppression(thresholds.score_threshold, thresholds.iou_threshold, thresholds.max_detections)
    kept = _thinned(found, rule)
    return _with_masks(parts, found.picked(kept), [objects[index] for index in kept.tolist()], image_size_px)


def joined(parts: Parts, image_size_px: tuple[int, int]) -> Detections:
    """What all tiles have found, in pixels of the image, one tile after another and not merged."""
    found, origins = _together(parts, image_size_px)
    return _with_masks(parts, found, [(origin,) for origin in origins], image_size_px)


def _together(parts: Parts, image_size_px: tuple[int, int]) -> tuple[Detections, list[Chosen]]:
    """Without masks, and from which part each comes, as the how-manieth of it.

    Rotated boxes may reach beyond their tile, and with them the upright ones around them, up to the image's edge.
    """
    boxes = [found.boxes.reshape(-1, 4) + np.tile(_corner(tile), 2) for tile, found in parts]
    points = [
        np.concatenate([found.keypoints[..., :2] + _corner(tile), found.keypoints[..., 2:]], axis=-1)
        for tile, found in parts
        if found.keypoints is not None
    ]
    corners = [found.corners + _corner(tile) for tile, found in parts if found.corners is not None]
    if corners:
        low, high = (np.concatenate([edge(one, axis=1) for one in corners]) for edge in (np.min, np.max))
        boxes = [np.clip(np.concatenate([low, high], axis=1), 0, np.array(image_size_px[::-1] * 2, np.float32))]
    found = Detections(
        boxes=np.concatenate(boxes),
        scores=np.concatenate([found.scores for _, found in parts]),
        class_ids=np.concatenate([found.class_ids for _, found in parts]),
        labels=tuple(label for _, found in parts for label in found.labels),
        keypoints=np.concatenate(points) if points else None,
        corners=np.concatenate(corners) if corners else None,
    )
    return found, [(part, index) for part, (_, one) in enumerate(parts) for index in range(len(one))]


def _corner(tile: Tile) -> NDArray[np.float32]:
    return np.array([tile.left_px, tile.top_px], np.float32)


def _best(scores: NDArray[np.float32], most: int) -> NDArray[np.intp]:
    """Indices of the best `most` scores, in their order."""
    if len(scores) <= most:
        return np.arange(len(scores))
    return np.sort(np.argpartition(-scores, most - 1)[:most])


def _has_masks(parts: Parts) -> bool:
    return all(found.masks is not None for _, found in parts)


def _pieces_joined(
    parts: Parts, found: Detections, pieces: NDArray[np.bool_], objects: Objects
) -> tuple[Detections, NDArray[np.bool_], Objects]:
    """Pieces that belong together are one detection, which counts as entire: with the best of their scores, and the
    box around all of them."""
    cut = np.flatnonzero(pieces)
    best_first = cut[np.argsort(-found.scores[cut], kind="stable")].tolist()
    seen = [Piece(index, objects[index][0], found.boxes[index], int(found.class_ids[index])) for index in best_first]
    boxes, is_whole = found.boxes.copy(), ~pieces
    wholes, gone = list(objects), np.zeros(len(found), np.bool_)
    for group in belonging_together(seen, parts):
        first = max(group, key=lambda index: float(found.scores[index]))
        boxes[first, :2], boxes[first, 2:] = found.boxes[group, :2].min(axis=0), found.boxes[group, 2:].max(axis=0)
        wholes[first] = tuple(objects[index][0] for index in group)
        gone[group], gone[first] = True, False
        is_whole[first] = True
    left = np.flatnonzero(~gone)
    return replace(found, boxes=boxes).picked(left), ~is_whole[left], [wholes[index] for index in left]


def _thinned(found: Detections, rule: Suppression) -> NDArray[np.intp]:
    if found.corners is None:
        return suppress(found.boxes, found.scores, found.class_ids, rule)
    return suppress_rotated(_rotated(found.corners), found.scores, found.class_ids, rule)


def _rotated(corners: NDArray[np.float32]) -> NDArray[np.float32]:
    """Corners (n, 4, 2) in turn to boxes (n, 5): centre x y, width, height, angle in radians."""
    wide, tall = corners[:, 0] - corners[:, 3], corners[:, 0] - corners[:, 1]
    sides = [np.hypot(*wide.T), np.hypot(*tall.T), np.arctan2(wide[:, 1], wide[:, 0])]
    return np.concatenate([corners.mean(axis=1), np.stack(sides, axis=1)], axis=1)


def _with_masks(parts: Parts, found: Detections, objects: Objects, image_size_px: tuple[int, int]) -> Detections:
    masked = [
        MaskedPart(one.masks, tile.left_px, tile.top_px, tile.right_px, tile.bottom_px)
        for tile, one in parts
        if one.masks is not None
    ]
    return replace(found, masks=placed(objects, masked, image_size_px)) if masked else found
