"""Deformable attention over maps of several sizes (Zhu et al. 2020, arXiv:2010.04159): each query looks at few
places.

Places between pixels are interpolated as torch's `grid_sample` does with corners not aligned, and what lies outside a
map is zero. Whole rows are gathered, never single numbers.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from keras import ops

from deployments.families.shared.tensor_ops import rows_at
from deployments.families.shared.transformer import Program

Size = tuple[int, int]
"""Rows and columns of a map."""


@dataclass(frozen=True, slots=True)
class DeformableAttention:
    """One attention with its layers; call it inside a compiled function."""

    heads: int

    points: int
    """Places that each head looks at in each level."""

    offsets: Program
    """Gives head, level, point, x and y."""

    weights: Program
    """Gives head, level, point."""

    values: Program
    output: Program

    def __call__(self, queries: Any, boxes: Any, memory: Any, sizes: Sequence[Size]) -> Any:
        """queries: (n, q, channels).  boxes: (n, q, 4), the reference of each query, centre and size in parts of the
        image.  memory: (n, pixels of all levels, channels).  sizes: of the maps of all levels, in the order in which
        their pixels lie in memory. Gives (n, q, channels)."""
        count, heads, points, levels = int(queries.shape[1]), self.heads, self.points, len(sizes)
        values = self.values(memory)
        channels = int(values.shape[-1])
        width = channels // heads
        offsets = ops.reshape(self.offsets(queries), (-1, count, heads, levels, points, 2))
        weights = ops.softmax(ops.reshape(self.weights(queries), (-1, count, heads, levels * points)), axis=-1)
        weights = ops.reshape(weights, (-1, count, heads, levels, points))
        corner = ops.reshape(boxes, (-1, count, 1, 1, 1, 4))
        places = corner[..., :2] + offsets * (0.5 / points) * corner[..., 2:]
        values = ops.reshape(values, (-1, sum(r * c for r, c in sizes) * heads, width))
        index, factors = self._corners(places, weights, sizes)
        rows = rows_at(values, ops.reshape(index, (-1, count * heads * levels * points * 4)))
        rows = ops.reshape(rows, (-1, count, heads, levels * points * 4, width))
        mixed = ops.sum(rows * ops.reshape(factors, (-1, count, heads, levels * points * 4, 1)), axis=3)
        return self.output(ops.reshape(mixed, (-1, count, channels)))

    def _corners(self, places: Any, weights: Any, sizes: Sequence[Size]) -> tuple[Any, Any]:
        """Of each place (n, q, heads, levels, points, 2) the rows of its four neighbours among the values of all
        heads, and how much each counts: (n, q, heads, levels, points, 4)."""
        heads = ops.reshape(ops.arange(self.heads, dtype="int32"), (1, 1, -1, 1, 1))
        indices, factors, first = [], [], 0
        for level, (rows, columns) in enumerate(sizes):
            x0, x_part = _pixel(places[..., level : level + 1, :, 0], columns)
            y0, y_part = _pixel(places[..., level : level + 1, :, 1], rows)
            for y, y_factor in ((y0, 1 - y_part), (y0 + 1, y_part)):
                for x, x_factor in ((x0, 1 - x_part), (x0 + 1, x_part)):
                    is_inside = (x >= 0) & (x < columns) & (y >= 0) & (y < rows)
                    pixel = ops.clip(y, 0, rows - 1) * columns + ops.clip(x, 0, columns - 1) + first
                    indices.append(pixel * self.heads + heads)
                    factor = y_factor * x_factor * weights[..., level : level + 1, :]
                    factors.append(ops.where(is_inside, factor, 0.0))
            first += rows * columns
        return _side_by_side(indices, len(sizes)), _side_by_side(factors, len(sizes))


def _pixel(places: Any, size: int) -> tuple[Any, Any]:
    """The pixel at or before each place, and the part of the way to the next one."""
    # What is further outside is as zero as what is just outside, and an integer can hold it.
    positions = ops.clip(places * size - 0.5, -2.0, size + 1.0)
    before = ops.floor(positions)
    return ops.cast(before, "int32"), positions - before


def _side_by_side(corners: Sequence[Any], levels: int) -> Any:
    """Four tensors (n, q, heads, 1, points) for each level to (n, q, heads, levels, points, 4)."""
    each = [ops.stack(corners[4 * level : 4 * level + 4], axis=-1) for level in range(levels)]
    return each[0] if levels == 1 else ops.concatenate(each, axis=3)
