"""A family takes the checkpoint without the letterbox and without NMS: another block, another head, another end."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from keras import ops

from deployments.errors import ModelUnavailable
from deployments.families.yolo.layers.torch_layers import LayerBuilder, Maker
from deployments.families.yolo.layers.yolo_blocks import BLOCKS
from deployments.families.yolo.yolo_checkpoint import YoloCheckpoint
from deployments.families.yolo.yolo_graph import Head
from deployments.families.yolo.yolo_layout import YoloLayout
from deployments.families.yolo.yolov5 import YOLOv5

WEIGHTS = Path(__file__).parents[1] / "golden" / "yolov5-v5-focus.pt"


def any_head(layout: YoloLayout) -> None:
    assert layout.strides_px == (8, 16, 32)


def means(layout: YoloLayout, builder: LayerBuilder) -> Head:
    """A head of a family's own: the mean of each feature map, without boxes."""
    del builder

    def head(features: Sequence[Any]) -> tuple[Any, ...]:
        assert len(features) == len(layout.strides_px)
        return tuple(ops.mean(ops.cast(feature, "float32"), axis=(1, 2)) for feature in features)

    return head


def test_a_family_brings_its_own_head_and_input() -> None:
    checkpoint = YoloCheckpoint(WEIGHTS, YOLOv5.kind, BLOCKS, any_head)
    assert checkpoint.layout().class_count == 4
    graph = checkpoint.build("float32", means)
    image = np.random.default_rng(7).integers(0, 256, (1, 96, 64, 3), np.uint8)
    outputs = [np.asarray(output) for output in graph(ops.convert_to_tensor(image))]
    assert [output.shape[0] for output in outputs] == [1, 1, 1]
    assert all(np.isfinite(output).all() for output in outputs)


def test_a_family_brings_its_own_blocks() -> None:
    made: list[str] = []

    def focus(builder: LayerBuilder, stub: Any) -> Any:
        made.append(stub.class_name)
        return BLOCKS["Focus"](builder, stub)

    own: dict[str, Maker] = BLOCKS | {"Focus": focus}
    YoloCheckpoint(WEIGHTS, YOLOv5.kind, own, any_head).build("float32", means)
    assert made == ["Focus"]
    fewer = {name: maker for name, maker in BLOCKS.items() if name != "Focus"}
    with pytest.raises(ModelUnavailable, match=r"yolov5-v5-focus\.pt: unknown layer models\.common\.Focus"):
        YoloCheckpoint(WEIGHTS, YOLOv5.kind, fewer, any_head).layout()


def test_what_the_family_refuses_of_a_head_names_the_file() -> None:
    def picky(layout: YoloLayout) -> None:
        raise ModelUnavailable(f"{layout.class_count} classes are too many")

    with pytest.raises(ModelUnavailable, match=r"yolov5-v5-focus\.pt: 4 classes are too many"):
        YoloCheckpoint(WEIGHTS, YOLOv5.kind, BLOCKS, picky).layout()
