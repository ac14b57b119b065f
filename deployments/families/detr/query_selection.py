"""The first stage of RF-DETR: each pixel of the decoder's maps proposes a box, and the best say where queries look
first.

As in rfdetr 1.11 `models/transformer.py`, `gen_encoder_output_proposals` and what follows it.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from keras import ops
from numpy.typing import NDArray

from deployments.families.detr.named_layers import box_layers, dense, moved, norm_layer
from deployments.families.detr.rf_detr_layout import RfDetrLayout
from deployments.families.detr.rf_detr_settings import Size
from deployments.families.detr.rf_detr_tensors import NamedTensors
from deployments.families.shared.tensor_ops import rows_at
from deployments.families.shared.transformer import make_linear

_SIDE = 0.05
_EDGE = 0.01
"""Proposals whose centre or side is this near to 0 or 1 are left out."""


class QuerySelection:
    """The reference box of each query; call it inside a compiled function."""

    def __init__(self, tensors: NamedTensors, layout: RfDetrLayout, sizes: Sequence[Size]) -> None:
        """sizes: rows and columns of the maps of all levels."""
        self._proposals, self._is_valid = proposals(sizes)
        self._count = min(layout.queries, len(self._proposals))
        self._project = make_linear(dense(tensors, "transformer.enc_output.0"))
        self._norm = norm_layer(tensors, "transformer.enc_output_norm.0")
        self._to_classes = make_linear(dense(tensors, "transformer.enc_out_class_embed.0"))
        self._to_boxes = box_layers(tensors, "transformer.enc_out_bbox_embed.0")
        self._learned = tensors("refpoint_embed.weight")[: layout.queries].astype(np.float32)

    def __call__(self, memory: Any) -> Any:
        """memory: float32 (n, pixels of all levels, channels). Gives boxes (n, queries, 4), centre and size in parts
        of the image; not clipped."""
        memory = self._norm(self._project(memory * self._is_valid))
        _, index = ops.top_k(ops.max(self._to_classes(memory), axis=-1), k=self._count)
        chosen = ops.take(ops.convert_to_tensor(self._proposals), index, axis=0)
        found = moved(chosen, self._to_boxes(rows_at(memory, index)))
        boxes = moved(found, ops.convert_to_tensor(self._learned[None, : self._count]))
        if self._count == len(self._learned):
            return boxes
        # A canvas with fewer pixels than queries: the others keep what they learned.
        rest = ops.zeros_like(boxes[:, :1]) + ops.convert_to_tensor(self._learned[None, self._count :])
        return ops.concatenate([boxes, rest], axis=1)


def proposals(sizes: Sequence[Size]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """A box around each pixel of each level, (pixels, 4), centre and size in parts of the image, and whether it
    counts, (pixels, 1): those at an edge of a large map do not, and are zero."""
    found = []
    for level, (rows, columns) in enumerate(sizes):
        y = (np.arange(rows, dtype=np.float32) + np.float32(0.5)) / np.float32(rows)
        x = (np.arange(columns, dtype=np.float32) + np.float32(0.5)) / np.float32(columns)
        side = np.full((rows, columns), _SIDE * 2.0**level, np.float32)
        grid = np.broadcast_to(x, (rows, columns)), np.broadcast_to(y[:, None], (rows, columns))
        found.append(np.stack([*grid, side, side], axis=-1).reshape(-1, 4))
    boxes = np.concatenate(found)
    is_valid = ((boxes > _EDGE) & (boxes < 1 - _EDGE)).all(axis=1, keepdims=True).astype(np.float32)
    return np.asarray(boxes * is_valid, np.float32), np.asarray(is_valid, np.float32)
