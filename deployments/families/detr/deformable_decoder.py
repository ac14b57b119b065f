"""The second stage of RF-DETR: queries that look at each other, and at few places of the maps around their box.

As in rfdetr 1.11 `models/transformer.py`. The boxes that queries look around stay those of the first stage in all
layers (`lite_refpoint_refine`); always in float32.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from keras import ops

from deployments.families.detr.named_layers import box_layers, dense, moved, norm_layer, relu_layers
from deployments.families.detr.rf_detr_layout import RfDetrLayout
from deployments.families.detr.rf_detr_settings import Size
from deployments.families.detr.rf_detr_sizes import DECODER
from deployments.families.detr.rf_detr_tensors import NamedTensors
from deployments.families.shared.deformable_attention import DeformableAttention
from deployments.families.shared.transformer import Dense, attend, make_linear

_TEMPERATURE = 10_000

Layer = Callable[[Any, Any, Any, Any], Any]
"""Queries, their positions, their boxes and the memory to queries."""


class DeformableDecoder:
    """Boxes, class logits and features of all queries; call it inside a compiled function."""

    def __init__(self, tensors: NamedTensors, layout: RfDetrLayout, sizes: Sequence[Size]) -> None:
        """sizes: rows and columns of the maps of all levels."""
        self._channels = layout.channels
        self._queries = tensors("query_feat.weight")[: layout.queries].astype(np.float32)[None]
        self._to_positions = relu_layers(tensors, f"{DECODER}.ref_point_head", 2)
        self._layers = [
            _layer(tensors, f"{DECODER}.layers.{index}", layout, sizes) for index in range(layout.decoder_layers)
        ]
        self._norm = norm_layer(tensors, f"{DECODER}.norm")
        self._to_classes = make_linear(dense(tensors, "class_embed"))
        self._to_boxes = box_layers(tensors, "bbox_embed")

    def __call__(self, boxes: Any, memory: Any) -> tuple[Any, Any, Any]:
        """boxes: the first stage's, (n, queries, 4).  memory: float32 (n, pixels of all levels, channels).

        Gives boxes (n, queries, 4), centre and size in parts of the image, logits (n, queries, rows of the head), and
        the queries that they are read from (n, queries, channels).
        """
        positions = self._to_positions(sine_positions(boxes, self._channels // 2))
        queries = ops.zeros_like(positions) + ops.convert_to_tensor(self._queries)
        for layer in self._layers:
            queries = layer(queries, positions, boxes, memory)
        queries = self._norm(queries)
        return moved(boxes, self._to_boxes(queries)), self._to_classes(queries), queries


def sine_positions(boxes: Any, width: int) -> Any:
    """Boxes (n, q, 4) to sines and cosines, (n, q, 4 * width): of y, x, width and height, sine and cosine in turn."""
    scales = _TEMPERATURE ** (2 * (np.arange(width, dtype=np.float32) // 2) / width)
    angles = ops.expand_dims(boxes * (2 * math.pi), -1) / ops.convert_to_tensor(scales.astype(np.float32))
    pairs = ops.stack([ops.sin(angles[..., 0::2]), ops.cos(angles[..., 1::2])], axis=-1)
    count = int(boxes.shape[1])
    each = ops.reshape(pairs, (-1, count, 4, width))
    ordered = ops.stack([each[:, :, axis] for axis in (1, 0, 2, 3)], axis=2)
    return ops.reshape(ordered, (-1, count, 4 * width))


def _layer(tensors: NamedTensors, name: str, layout: RfDetrLayout, sizes: Sequence[Size]) -> Layer:
    """One layer: three branches with shortcuts, each followed by a norm."""
    among = _self_attention(tensors, f"{name}.self_attn", layout.self_heads)
    cross = f"{name}.cross_attn"
    around = DeformableAttention(
        heads=layout.cross.heads,
        points=layout.cross.points,
        offsets=make_linear(dense(tensors, f"{cross}.sampling_offsets")),
        weights=make_linear(dense(tensors, f"{cross}.attention_weights")),
        values=make_linear(dense(tensors, f"{cross}.value_proj")),
        output=make_linear(dense(tensors, f"{cross}.output_proj")),
    )
    first, second = (make_linear(dense(tensors, f"{name}.{part}")) for part in ("linear1", "linear2"))
    norms = [norm_layer(tensors, f"{name}.norm{number}") for number in (1, 2, 3)]

    def run(queries: Any, positions: Any, boxes: Any, memory: Any) -> Any:
        queries = norms[0](queries + among(queries, positions))
        queries = norms[1](queries + around(queries + positions, boxes, memory, sizes))
        return norms[2](queries + second(ops.relu(first(queries))))

    return run


def _self_attention(tensors: NamedTensors, name: str, heads: int) -> Callable[[Any, Any], Any]:
    """torch.nn.MultiheadAttention, whose queries and keys have positions added and whose values have not."""
    weight, bias = tensors(f"{name}.in_proj_weight"), tensors(f"{name}.in_proj_bias")
    channels = weight.shape[1]
    width = channels // heads
    scaled = np.concatenate([np.full(channels, width**-0.5), np.ones(channels)])
    to_pairs = make_linear(Dense(weight[: 2 * channels], bias[: 2 * channels]).scaled(scaled))
    to_values = make_linear(Dense(weight[2 * channels :], bias[2 * channels :]))
    output = make_linear(dense(tensors, f"{name}.out_proj"))

    def split(x: Any) -> Any:
        return ops.transpose(ops.reshape(x, (-1, int(x.shape[1]), heads, width)), (0, 2, 1, 3))

    def run(queries: Any, positions: Any) -> Any:
        pairs = to_pairs(queries + positions)
        mixed = attend(split(pairs[..., :channels]), split(pairs[..., channels:]), split(to_values(queries)))
        return output(ops.reshape(ops.transpose(mixed, (0, 2, 1, 3)), (-1, int(queries.shape[1]), channels)))

    return run
