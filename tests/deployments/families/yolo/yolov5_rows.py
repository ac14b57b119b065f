"""The raw rows of a YOLOv5 head, as the reference writes them."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deployments.checkpoints import open_checkpoint
from deployments.families.yolo.heads.anchor_head import make_levels
from deployments.families.yolo.layers.torch_layers import LayerBuilder
from deployments.families.yolo.yolo_graph import build_body
from deployments.families.yolo.yolo_layout import read_layout
from deployments.families.yolo.yolov5 import YOLOv5


def raw_rows(family: YOLOv5, path: Path, canvas: NDArray[np.uint8]) -> NDArray[Any]:
    """All rows of the head, (rows, 85): centre x, y, width, height, objectness, class probabilities."""
    import tensorflow as tf

    with open_checkpoint(path) as checkpoint:
        layout = read_layout(checkpoint, family.kind)
        builder = LayerBuilder(family.blocks)
        levels = make_levels(layout, builder)
        features = build_body(layout, builder, tuple).features(tf.constant(canvas[None]))
    parts = []
    for level, feature in zip(levels, features, strict=True):
        rows = level.scored(feature)
        boxes = np.float64(level.decoded(rows.boxes[0, :, :4], rows.grid))
        centres, sizes = (boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]
        logits = np.concatenate([rows.boxes[0, :, 4:], rows.classes[0]], axis=1)
        parts.append(np.concatenate([centres, sizes, 1 / (1 + np.exp(-np.float64(logits)))], axis=1))
    return np.concatenate(parts)
