"""A frame with more boxes than candidates: the classes of the request are told apart before the best are picked."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from deployments.definition import ModelDefinition
from deployments.families import load_family
from deployments.families.contract import Thresholds
from deployments.runtimes import Runtime

GOLDEN = Path(__file__).parents[1] / "golden"
FRAME = np.random.default_rng(3).integers(0, 256, (128, 192, 3), np.uint8)
EVERYTHING = Thresholds(score_threshold=0.0, iou_threshold=1.0, max_detections=1000)


@pytest.mark.parametrize(
    ("family", "name"), [("yolov5", "yolov5_seg"), ("ultralytics", "yolov8-first"), ("ultralytics", "yolo11-obb")]
)
def test_one_class_of_a_crowded_frame_is_found_as_if_it_were_alone(runtime: Runtime, family: str, name: str) -> None:
    definition = ModelDefinition(family=family, weights=str(GOLDEN / f"{name}.pt"), canvas_px=(128, 192))
    few, many = (
        load_family(definition.model_copy(update={"parameters": {"candidates": most}})) for most in (20, 4000)
    )
    runtime.load(few, [1])
    prepared = few.preprocess(FRAME)
    (outputs,) = runtime.infer([prepared.canvas])
    everything = few.postprocess(outputs, prepared.geometry, EVERYTHING)
    rare = min(few.labels, key=everything.labels.count)
    assert len(everything) <= 20, "the frame must be crowded"
    alone = replace(EVERYTHING, classes=(rare,))
    found, wanted = (one.postprocess(outputs, prepared.geometry, alone) for one in (few, many))
    assert everything.labels.count(rare) < len(found) == min(20, len(wanted))
    np.testing.assert_array_equal(found.scores, wanted.scores[:20])
    np.testing.assert_array_equal(found.boxes, wanted.boxes[:20])
