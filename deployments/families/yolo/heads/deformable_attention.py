"""Attention that looks at a few points of each feature map, which it chooses itself, around a box.

As `MSDeformAttn` of ultralytics 8.4 `nn/modules/transformer.py` (Zhu et al. 2020, arXiv:2010.04159).
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from keras import ops

from deployments.checkpoints import ModuleStub
from deployments.errors import ModelUnavailable
from deployments.families.shared.tensor_ops import rows_at
from deployments.families.yolo.layers.torch_layers import LayerBuilder

_MOST_POINTS = 64

Looking = Callable[[Any, Any, Any, Sequence[tuple[int, int]]], Any]
"""Queries (n, k, channels), boxes (n, k, 4) x y width height of 0 to 1, cells of all maps (n, cells, channels) and
the maps' sizes (height, width) to what is seen (n, k, channels)."""


def make_deformable_attention(builder: LayerBuilder, stub: ModuleStub) -> Looking:
    """The program of one MSDeformAttn. Raises ModelUnavailable for numbers that don't fit."""
    heads, levels, points = (stub.integer(name) for name in ("n_heads", "n_levels", "n_points"))
    channels = stub.integer("d_model")
    if min(heads, levels, points) < 1 or levels * points > _MOST_POINTS or channels % heads or channels < heads:
        raise ModelUnavailable(f"{stub.kind} has {heads} heads of {channels} channels, {levels} x {points} points")
    names = ("sampling_offsets", "attention_weights", "value_proj", "output_proj")
    to_offsets, to_weights, to_values, to_output = (builder.child(stub, name) for name in names)
    total = levels * points

    def run(queries: Any, boxes: Any, cells: Any, sizes: Sequence[tuple[int, int]]) -> Any:
        count, rows = int(queries.shape[1]), int(cells.shape[1])
        offsets = ops.reshape(to_offsets(queries), (-1, count, heads, total, 2))
        weights = ops.softmax(ops.reshape(to_weights(queries), (-1, count, heads, total)), axis=-1)
        around = ops.reshape(boxes, (-1, count, 1, 1, 4))
        places = around[..., :2] + offsets / points * around[..., 2:] * 0.5
        values = ops.reshape(to_values(cells), (-1, rows, heads, channels // heads))
        values = ops.reshape(ops.transpose(values, (0, 2, 1, 3)), (-1, rows, channels // heads))
        places = ops.reshape(ops.transpose(places, (0, 2, 1, 3, 4)), (-1, count, total, 2))
        weights = ops.reshape(ops.transpose(weights, (0, 2, 1, 3)), (-1, count, total))
        seen = ops.reshape(_sampled(values, places, weights, sizes), (-1, heads, count, channels // heads))
        return to_output(ops.reshape(ops.transpose(seen, (0, 2, 1, 3)), (-1, count, channels)))

    return run


def _sampled(values: Any, places: Any, weights: Any, sizes: Sequence[tuple[int, int]]) -> Any:
    """Bilinear samples, zero outside a map, times their weights, summed over the points.

    values: (b, cells, d).  places: (b, k, points, 2) x y of 0 to 1.  weights: (b, k, points). Gives (b, k, d).
    """
    count, total, width = int(places.shape[1]), int(places.shape[2]), int(values.shape[2])
    each = total // len(sizes)
    sides = np.repeat([(wide, tall) for tall, wide in sizes], each, axis=0).astype(np.float32)
    starts = np.repeat(np.cumsum([0, *(tall * wide for tall, wide in sizes[:-1])]), each).astype(np.int32)
    places = places * sides - 0.5
    corners = ops.floor(places)
    seen: Any = 0.0
    for step in ((0, 0), (1, 0), (0, 1), (1, 1)):
        at = corners + np.array(step, np.float32)
        shares = ops.prod(1.0 - ops.abs(places - at), axis=-1)
        is_inside = ops.all((at >= 0) & (at < sides), axis=-1)
        whole = ops.cast(ops.clip(at, 0.0, sides - 1), "int32")
        index = starts + whole[..., 1] * sides[:, 0].astype(np.int32) + whole[..., 0]
        taken = ops.reshape(rows_at(values, ops.reshape(index, (-1, count * total))), (-1, count, total, width))
        share = ops.where(is_inside, shares * weights, 0.0)
        seen = seen + ops.sum(taken * ops.expand_dims(share, -1), axis=2)
    return seen
