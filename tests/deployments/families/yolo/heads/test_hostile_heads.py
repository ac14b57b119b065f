"""Heads that lie about themselves are refused in words, before anything large is made; numbers that are none answer
nothing."""

from typing import Any

import numpy as np
import pytest

from deployments.checkpoints import ModuleStub, open_checkpoint
from deployments.definition import ModelDefinition
from deployments.errors import ModelUnavailable
from deployments.families.shared.letterbox import plan
from deployments.families.shared.nms import Suppression
from deployments.families.yolo.heads.anchor_free_heads import HEADS
from deployments.families.yolo.heads.ending import Place
from deployments.families.yolo.heads.keypoint_ending import KeypointEnding
from deployments.families.yolo.layers.torch_layers import LayerBuilder
from deployments.families.yolo.ultralytics import Ultralytics
from deployments.families.yolo.yolo_graph import build_body
from deployments.families.yolo.yolo_layout import read_layout
from deployments.families.yolo.yolov5 import YOLOv5
from tests.deployments.families.yolo.heads.original_answers import GOLDEN


def head_of(name: str, **state: Any) -> ModuleStub:
    stub = ModuleStub(f"ultralytics.nn.modules.head.{name}")
    stub.state = {"nc": 1, "reg_max": 16, **state}
    return stub


@pytest.mark.parametrize(
    ("name", "state", "reason"),
    [
        ("Segment", {}, "attribute 'nm' .* expected an integer"),
        ("Segment", {"nm": 0}, "the head has 0 prototypes of masks, expected 1 to 128"),
        ("Segment26", {"nm": 10**6}, "the head has 1000000 prototypes of masks"),
        ("Segment", {"nm": True}, "attribute 'nm' .* expected an integer"),
        ("Pose", {}, "'kpt_shape' of .*Pose is not two integers"),
        ("Pose", {"kpt_shape": [17]}, "is not two integers"),
        ("Pose", {"kpt_shape": ["17", 3]}, "is not two integers"),
        ("Pose", {"kpt_shape": 17}, "is not two integers"),
        ("Pose26", {"kpt_shape": [10**6, 3]}, "has 1000000 keypoints of 3 values, expected 1 to 500 of 2 or 3"),
        ("Pose", {"kpt_shape": (5, 4)}, "has 5 keypoints of 4 values"),
        ("Pose", {"kpt_shape": (-5, 3)}, "has -5 keypoints of 3 values"),
        ("OBB", {"ne": 2}, "the head has 2 angles for each box, expected 1"),
        ("OBB26", {"ne": None}, "attribute 'ne' .* expected an integer"),
    ],
)
def test_a_head_that_says_something_impossible_is_refused(name: str, state: dict[str, Any], reason: str) -> None:
    with pytest.raises(ModelUnavailable, match=reason):
        HEADS[name](head_of(name, **state))


def built(layout: str, change: Any) -> None:
    """Builds and runs the graph of a golden file whose head was changed."""
    import tensorflow as tf

    path = GOLDEN / f"{layout}.pt"
    family = Ultralytics(ModelDefinition(family="ultralytics", weights=str(path), canvas_px=(64, 64)))
    with open_checkpoint(path) as checkpoint:
        read = read_layout(checkpoint, family.kind)
        change(read.head.stub)
        family.check_head(read)
        builder = LayerBuilder(family.blocks)
        graph = build_body(read, builder, family.make_head(read, builder))
    graph(tf.zeros((1, 64, 64, 3), tf.uint8))


def said(**state: Any) -> Any:
    def change(head: ModuleStub) -> None:
        head.state = {**head.state, **state}

    return change


def without(name: str) -> Any:
    def change(head: ModuleStub) -> None:
        head.state = {**head.state, "_modules": {**head.state["_modules"], name: None}}

    return change


def with_children(name: str, count: int) -> Any:
    def change(head: ModuleStub) -> None:
        modules = head.child(name).state["_modules"]
        head.child(name).state["_modules"] = dict(list(modules.items())[:count])

    return change


def proto_of_other_size(head: ModuleStub) -> None:
    """Masks at three times the feature map, of which no canvas is a multiple."""
    upsample = ModuleStub("torch.nn.modules.upsampling.Upsample")
    upsample.state = {"scale_factor": 3.0, "mode": "nearest"}
    modules = head.child("proto").state["_modules"]
    head.child("proto").state["_modules"] = {**modules, "upsample": upsample}


@pytest.mark.parametrize(
    ("layout", "change", "reason"),
    [
        ("yolov8-seg", said(nm=5), "gives 4 class scores and 6 further numbers for each cell, expected 4 and 5"),
        ("yolov8-seg", without("proto"), "has no child 'proto'"),
        ("yolov8-seg", without("cv4"), "has no child 'cv4'"),
        ("yolov8-seg", with_children("cv4", 2), "cv4 of the head has 2 branches for 3 levels"),
        (
            "yolov8-seg",
            proto_of_other_size,
            "prototypes of 24 x 24 for a canvas of 64 x 64, expected 6 of",
        ),
        ("yolo11-pose", said(kpt_shape=[6, 3]), "15 further numbers for each cell, expected 4 and 18"),
        ("yolo26-pose", without("one2one_cv4_kpts"), "has no child 'one2one_cv4_kpts'"),
        ("yolo11-obb", without("cv4"), "has no child 'cv4'"),
    ],
)
def test_a_head_that_lies_about_its_branches_is_refused(layout: str, change: Any, reason: str) -> None:
    with pytest.raises(ModelUnavailable, match=reason):
        built(layout, change)


def test_candidates_that_would_take_too_long_are_refused() -> None:
    definition = ModelDefinition(
        family="ultralytics", weights=str(GOLDEN / "yolo11-obb.pt"), parameters={"candidates": 30_000}
    )
    with pytest.raises(ModelUnavailable, match="candidates is 30000, of a OBB head at most 4096"):
        Ultralytics(definition)


def test_the_old_worker_knows_no_masks() -> None:
    definition = ModelDefinition(
        family="yolov5",
        weights=str(GOLDEN / "yolov5_seg.pt"),
        canvas_px=(640, 640),
        parameters={"legacy_worker": True},
    )
    with pytest.raises(ModelUnavailable, match="legacy_worker answers boxes, but this model finds masks"):
        YOLOv5(definition)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_a_keypoint_that_is_nowhere_answers_no_detection(value: float) -> None:
    boxes = np.array([[10, 10, 40, 40], [50, 50, 90, 90]], np.float32)
    points = np.full((2, 3, 3), 20.0, np.float32)
    points[0, 1, 0] = value
    outputs = (boxes, np.array([0.9, 0.8], np.float32), np.zeros(2, np.int32), points)
    kept = KeypointEnding().kept(outputs, Suppression(0.1, 0.5, 10))
    assert kept.tolist() == [1]


def test_keypoints_are_kept_inside_the_image() -> None:
    geometry = plan((100, 200), (200, 200))
    boxes = np.array([[10, 60, 40, 140]], np.float32)
    points = np.array([[[-50, 10, 0.5], [500, 500, 1.0], [20, 70, 0.1]]], np.float32)
    outputs = (boxes, np.array([0.9], np.float32), np.zeros(1, np.int32), points)
    place = Place(geometry, lambda found, one: one.to_image(found), ("fish",))
    found = KeypointEnding().detections(outputs, np.array([0]), place)
    assert found.keypoints is not None
    np.testing.assert_allclose(found.keypoints[0], [[0, 0, 0.5], [200, 100, 1.0], [20, 20, 0.1]], atol=1e-4)
    assert points[0, 0, 0] == -50, "the outputs of the graph are not written to"
