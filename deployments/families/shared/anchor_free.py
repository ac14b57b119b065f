"""Anchor-free decoding in the graph: raw head maps to a bounded list of candidates.

The demo model and YOLOv8 to YOLO26 use it, in replicas and in training. It needs Keras.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from keras import ops
from numpy.typing import NDArray

from deployments.families.shared.tensor_ops import best_classes, rows_at

CANDIDATES = 300
"""Default for the candidates of one image. A head with fewer cells gives fewer."""


class HeadMaps(NamedTuple):
    """Raw outputs of one pyramid level, channels last, any float dtype."""

    distances: Any
    """(n, height, width, 4 * bins), left, top, right, bottom; see `decode` for the unit."""

    class_logits: Any
    """(n, height, width, classes), before the sigmoid."""

    stride_px: int
    """Canvas pixels per cell."""

    beside: Any = None
    """(n, height, width, numbers), what a head says of each cell besides; None for nothing."""


class Winners(NamedTuple):
    """The best candidates of each image, best first."""

    cells: Any
    """int32 (n, k), their cells."""

    scores: Any
    """float32 (n, k), after the sigmoid."""

    classes: Any
    """int32 (n, k)."""


def anchor_points(
    sizes: Sequence[tuple[int, int]], strides_px: Sequence[int]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Cell centres in canvas pixels, float32 (cells, 2) x, y, and the stride of each, float32 (cells, 1).

    sizes: (height, width) of each level in cells. Cells come in reading order, level by level. The centre of cell i
    is (i + 0.5) strides (ultralytics `utils/tal.py` `make_anchors`).
    """
    points, strides = [], []
    for (height, width), stride_px in zip(sizes, strides_px, strict=True):
        rows, columns = np.mgrid[0:height, 0:width]
        centres = np.stack([columns.ravel(), rows.ravel()], 1) + 0.5
        points.append(centres * stride_px)
        strides.append(np.full((height * width, 1), stride_px))
    return (
        np.concatenate(points).astype(np.float32),
        np.concatenate(strides).astype(np.float32),
    )


def decode(levels: Sequence[HeadMaps], bins: int = 1, candidates: int = CANDIDATES) -> tuple[Any, Any, Any]:
    """The k best candidates of each image, without any threshold; k = min(candidates, cells).

    With `bins` above 1 the distances are logits over 0..bins-1 strides, and the expectation of their softmax is the
    distance (DFL, Li et al. 2020, arXiv:2006.04388; ultralytics `nn/modules/block.py`); with 1 they are distances in
    strides. Each cell offers its best class. Gives boxes float32 (n, k, 4) x1 y1 x2 y2 in canvas pixels, not clipped;
    scores float32 (n, k), after the sigmoid, best first; classes int32 (n, k). Raises ValueError when the channels do
    not fit `bins`.
    """
    cells = Cells(levels, bins)
    winners = best_cells(cells, candidates)
    return cells.places.at(winners.cells).boxes(), winners.scores, winners.classes


@dataclass(frozen=True, slots=True)
class Places:
    """Some cells of a head, the same of all images or others of each: m is 1 or n."""

    centres: Any
    """(m, k, 2) x y in canvas pixels."""

    strides: Any
    """(m, k, 1) in canvas pixels."""

    raw_distances: Any
    """(n, k, 4 * bins)"""

    bins: int

    beside: Any
    """(n, k, numbers), what a head says besides; None where the levels have nothing."""

    def at(self, index: Any) -> "Places":
        """Those of all cells that are picked for each image, by index (n, k)."""
        return Places(
            ops.take(self.centres[0], index, axis=0),
            ops.take(self.strides[0], index, axis=0),
            rows_at(self.raw_distances, index),
            self.bins,
            None if self.beside is None else rows_at(self.beside, index),
        )

    def boxes(self) -> Any:
        """(n, k, 4) x1 y1 x2 y2 in canvas pixels."""
        return to_corners(self.centres, self.distances() * self.strides)

    def distances(self) -> Any:
        """(n, k, 4) left, top, right, bottom in strides."""
        return expected_distances(self.raw_distances, self.bins)


class Cells:
    """All cells of a head, level by level. Raises ValueError when the channels do not fit `bins`."""

    def __init__(self, levels: Sequence[HeadMaps], bins: int) -> None:
        sizes = [(int(level.distances.shape[1]), int(level.distances.shape[2])) for level in levels]
        points, strides = anchor_points(sizes, [level.stride_px for level in levels])
        distances = _flatten([level.distances for level in levels], sizes)
        beside = None if levels[0].beside is None else _flatten([level.beside for level in levels], sizes)
        if int(distances.shape[-1]) != 4 * bins:
            raise ValueError(f"{distances.shape[-1]} distance channels cannot hold 4 x {bins} bins")
        self.count = len(points)
        centres, lengths = ops.convert_to_tensor(points[None]), ops.convert_to_tensor(strides[None])
        self.places = Places(centres, lengths, distances, bins, beside)
        self.logits = _flatten([level.class_logits for level in levels], sizes)
        """(n, cells, classes)"""


def best_cells(cells: Cells, candidates: int) -> Winners:
    """The best cells, each with its best class; min(candidates, cells) of them."""
    # Sigmoid keeps the order, so the few winners are picked first and finished afterwards.
    best, index = ops.top_k(ops.max(cells.logits, axis=-1), k=min(candidates, cells.count))
    classes = best_classes(rows_at(cells.logits, index))
    return Winners(index, ops.sigmoid(best), ops.cast(classes, "int32"))


def best_pairs(cells: Cells, candidates: int) -> Winners:
    """The best pairs of a cell and a class, of a head that was trained to answer once for each object, so that
    nothing is to be suppressed. A cell may come with several classes (Wang et al. 2024, arXiv:2405.14458;
    ultralytics `nn/modules/head.py` `get_topk_index`).
    """
    count = min(candidates, cells.count)
    _, index = ops.top_k(ops.max(cells.logits, axis=-1), k=count)
    logits = rows_at(cells.logits, index)
    classes = int(logits.shape[-1])
    best, pair = ops.top_k(ops.reshape(logits, (-1, count * classes)), k=count)
    chosen = rows_at(ops.expand_dims(index, -1), pair // classes)[..., 0]
    return Winners(chosen, ops.sigmoid(best), ops.cast(pair % classes, "int32"))


def expected_distances(distances: Any, bins: int) -> Any:
    """DFL logits (..., 4 * bins) to expected distances (..., 4) in strides; with one bin they are distances."""
    if bins == 1:
        return distances
    leading = tuple(distances.shape[1:-1])
    shares = ops.softmax(ops.reshape(distances, (-1, *leading, 4, bins)), axis=-1)
    return ops.sum(shares * ops.arange(bins, dtype="float32"), axis=-1)


def to_corners(centres: Any, distances: Any) -> Any:
    """Centres (..., 2) and left, top, right, bottom (..., 4), one unit, to corners (..., 4)."""
    return ops.concatenate([centres - distances[..., :2], centres + distances[..., 2:]], axis=-1)


def _flatten(maps: Sequence[Any], sizes: Sequence[tuple[int, int]]) -> Any:
    rows = [
        ops.reshape(ops.cast(level, "float32"), (-1, height * width, int(level.shape[-1])))
        for level, (height, width) in zip(maps, sizes, strict=True)
    ]
    return ops.concatenate(rows, axis=1)
