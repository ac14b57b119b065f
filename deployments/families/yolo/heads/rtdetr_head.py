"""The head of RT-DETR in the graph: the best cells become queries, which look at all feature maps around their boxes.

As `RTDETRDecoder` of ultralytics 8.4 `nn/modules/head.py`, with `DeformableTransformerDecoder` and `MSDeformAttn` of
its `nn/modules/transformer.py` (Zhao et al. 2023, arXiv:2304.08069; Zhu et al. 2020, arXiv:2010.04159).
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from keras import ops
from numpy.typing import NDArray

from deployments.checkpoints import ModuleStub
from deployments.errors import ModelUnavailable
from deployments.families.shared.tensor_ops import rows_at
from deployments.families.yolo.heads.deformable_attention import make_deformable_attention
from deployments.families.yolo.layers.torch_layers import (
    LayerBuilder,
    Maker,
    Program,
    check_layers,
    make_conv2d_with_norm,
    sequence,
)
from deployments.families.yolo.yolo_graph import Head
from deployments.families.yolo.yolo_layout import YoloLayout

MAX_QUERIES = 3000
MAX_DECODER_LAYERS = 32
_PARTS = (
    *("input_proj", "enc_output", "enc_score_head", "enc_bbox_head"),
    *("query_pos_head", "dec_score_head", "dec_bbox_head"),
)
_LEAST = 1e-5
_CELL, _MARGIN = 0.05, 1e-2


def make_rtdetr_head(layout: YoloLayout, builder: LayerBuilder) -> Head:
    """Feature maps to boxes (n, k, 4) x1 y1 x2 y2 in parts of the canvas, scores (n, k), best first, and classes."""
    head = layout.head.stub
    queries = head.integer("num_queries")
    pick, refine = _make_selection(head, builder, queries), _make_decoder(head, builder)
    project = [_make_projection(builder, stub) for stub in head.child("input_proj").children.values()]

    def run(features: Sequence[Any]) -> tuple[Any, ...]:
        maps = [ops.cast(program(one), "float32") for program, one in zip(project, features, strict=True)]
        sizes = [(int(one.shape[1]), int(one.shape[2])) for one in maps]
        rows = [ops.reshape(one, (-1, one.shape[1] * one.shape[2], one.shape[3])) for one in maps]
        cells = ops.concatenate(rows, axis=1)
        found, boxes = pick(cells, sizes)
        boxes, logits = refine(found, boxes, cells, sizes)
        count, classes = int(logits.shape[1]), int(logits.shape[2])
        if classes != layout.class_count:
            raise ModelUnavailable(f"the head gives {classes} class scores, expected {layout.class_count}")
        best, pair = ops.top_k(ops.reshape(logits, (-1, count * classes)), k=min(queries, count * classes))
        chosen = rows_at(boxes, pair // classes)
        centres, half = chosen[..., :2], chosen[..., 2:] / 2.0
        corners = ops.concatenate([centres - half, centres + half], axis=-1)
        return corners, ops.sigmoid(best), ops.cast(pair % classes, "int32")

    return run


def check_rtdetr_head(head: ModuleStub, levels: int, blocks: Mapping[str, Maker]) -> None:
    """Raises ModelUnavailable for layers or numbers that no such head has. levels: feature maps that it reads."""
    decoder, queries = head.child("decoder"), head.integer("num_queries")
    layers, last = list(decoder.child("layers").children.values()), decoder.integer("eval_idx")
    if not 1 <= queries <= MAX_QUERIES:
        raise ModelUnavailable(f"the head has {queries} queries, expected 1 to {MAX_QUERIES}")
    if not 0 <= last < len(layers) <= MAX_DECODER_LAYERS:
        raise ModelUnavailable(f"the head has {len(layers)} layers, of which number {last} answers")
    if len(head.child("input_proj").children) != levels:
        raise ModelUnavailable(f"the head reads {levels} maps with {len(head.child('input_proj').children)} layers")
    if head.flag("learnt_init_query"):
        raise ModelUnavailable("the head has learnt queries, which are not supported")
    for name in _PARTS:
        check_layers(head.child(name), blocks)
    for layer in layers:
        for name, child in layer.children.items():
            for part in child.children.values() if name == "cross_attn" else [child]:
                check_layers(part, blocks)


def _make_projection(builder: LayerBuilder, stub: ModuleStub) -> Program:
    return make_conv2d_with_norm(builder, stub.child("0"), stub.child("1"))


def _make_selection(head: ModuleStub, builder: LayerBuilder, queries: int) -> Any:
    """The best cells: (n, cells, channels) to their features (n, k, channels) and boxes (n, k, 4), 0 to 1."""
    output, scores, boxes = (builder.child(head, name) for name in ("enc_output", "enc_score_head", "enc_bbox_head"))

    def run(cells: Any, sizes: Sequence[tuple[int, int]]) -> tuple[Any, Any]:
        anchors, is_valid = _anchors(sizes)
        features = output(cells * is_valid)
        best = ops.max(scores(features), axis=-1)
        _, index = ops.top_k(best, k=min(queries, len(anchors)))
        chosen = rows_at(features, index)
        places = boxes(chosen) + ops.take(ops.convert_to_tensor(anchors), index, axis=0)
        return chosen, ops.sigmoid(places)

    return run


def _make_decoder(head: ModuleStub, builder: LayerBuilder) -> Any:
    """Queries (n, k, channels) and their boxes to refined boxes (n, k, 4) and logits of classes (n, k, classes)."""
    decoder = head.child("decoder")
    last = decoder.integer("eval_idx") + 1
    layers = [_make_layer(builder, stub) for stub in list(decoder.child("layers").children.values())[:last]]
    to_boxes = builder.all_children(head, "dec_bbox_head")[:last]
    to_scores, to_places = (
        builder.all_children(head, "dec_score_head")[last - 1],
        builder.child(head, "query_pos_head"),
    )

    def run(queries: Any, boxes: Any, cells: Any, sizes: Sequence[tuple[int, int]]) -> tuple[Any, Any]:
        for layer, to_box in zip(layers, to_boxes, strict=True):
            queries = layer(queries, boxes, to_places(boxes), (cells, sizes))
            boxes = ops.sigmoid(to_box(queries) + _logits(boxes))
        return boxes, to_scores(queries)

    return run


def _make_layer(builder: LayerBuilder, stub: ModuleStub) -> Any:
    attention, norm1, norm2, norm3 = (builder.child(stub, name) for name in ("self_attn", "norm1", "norm2", "norm3"))
    looking = make_deformable_attention(builder, stub.child("cross_attn"))
    feed = sequence([builder.child(stub, name) for name in ("linear1", "act", "linear2")])

    def run(queries: Any, boxes: Any, places: Any, seen: tuple[Any, Sequence[tuple[int, int]]]) -> Any:
        placed = queries + places
        queries = norm1(queries + attention([placed, placed, queries]))
        queries = norm2(queries + looking(queries + places, boxes, *seen))
        return norm3(queries + feed(queries))

    return run


def _anchors(sizes: Sequence[tuple[int, int]]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The boxes from which cells start, as logits (cells, 4), and whether they lie well inside, (cells, 1)."""
    parts = []
    for level, (height, width) in enumerate(sizes):
        rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
        centres = np.stack([(columns.ravel() + 0.5) / width, (rows.ravel() + 0.5) / height], axis=1)
        parts.append(np.concatenate([centres, np.full_like(centres, _CELL * 2.0**level)], axis=1))
    boxes = np.concatenate(parts)
    is_valid = np.asarray(((boxes > _MARGIN) & (boxes < 1 - _MARGIN)).all(axis=1, keepdims=True), np.bool_)
    with np.errstate(all="ignore"):
        logits = np.where(is_valid, np.log(boxes / (1 - boxes)), np.inf)
    return logits.astype(np.float32), is_valid.astype(np.float32)


def _logits(shares: Any) -> Any:
    bounded = ops.clip(shares, 0.0, 1.0)
    return ops.log(ops.maximum(bounded, _LEAST) / ops.maximum(1.0 - bounded, _LEAST))
