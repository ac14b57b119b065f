"""The raw rows of an ultralytics head, as the reference writes them."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deployments.checkpoints import open_checkpoint
from deployments.families.shared.anchor_free import anchor_points, expected_distances, to_corners
from deployments.families.yolo.layers.torch_layers import LayerBuilder
from deployments.families.yolo.ultralytics import Ultralytics
from deployments.families.yolo.yolo_graph import build_body
from deployments.families.yolo.yolo_layout import read_layout


def raw_rows(family: Ultralytics, path: Path, canvas: NDArray[np.uint8], dtype: str = "float32") -> NDArray[Any]:
    """All rows of the head, (cells, 4 + classes): centre x, y, width, height, class probabilities."""
    import tensorflow as tf

    with open_checkpoint(path) as checkpoint:
        layout = read_layout(checkpoint, family.kind)
        builder = LayerBuilder(family.blocks, dtype)
        levels = build_body(layout, builder, family.make_head_maps(layout, builder))(tf.constant(canvas[None]))
    sizes = [tuple(level.distances.shape[1:3]) for level in levels]
    points, strides = anchor_points(sizes, [level.stride_px for level in levels])
    bins = layout.head.stub.integer("reg_max")
    distances = np.concatenate([np.float32(level.distances).reshape(-1, 4 * bins) for level in levels])
    logits = np.concatenate([np.float64(level.class_logits).reshape(-1, layout.class_count) for level in levels])
    boxes = np.asarray(to_corners(points, expected_distances(tf.constant(distances), bins) * strides))
    centres, sizes_px = (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]
    return np.concatenate([centres, sizes_px, 1 / (1 + np.exp(-logits))], axis=1)
