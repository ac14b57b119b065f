"""Every head of YOLO on four frames and three canvases, alone and in a batch, against the original code.

`golden/make_ultralytics_frames.py` and `make_yolov5_frames.py` say how: two pictures of noise, a photograph and a
drawing.
"""

import functools
import json
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from deployments.definition import ModelDefinition
from deployments.families import load_family
from deployments.families.contract import Outputs
from deployments.families.yolo.ultralytics_rtdetr import UltralyticsRTDETR
from tests.deployments.families.golden_cases import Tolerance, assert_agrees, pixels_of
from tests.deployments.families.yolo.heads.original_answers import (
    GOLDEN,
    assert_same_detections,
    limits_of,
    picture,
)

LAYOUTS = sorted(path.stem for path in (GOLDEN / "frames").glob("*.json"))
CANVASES_PX = [(160, 96), *(pytest.param(size, marks=pytest.mark.slow) for size in ((128, 192), (224, 224)))]
COUNT = 4
FAMILY_OF = {"rtdetr": "ultralytics-rtdetr", "yolov5": "yolov5"}

STRETCHED = Tolerance(iou=0.96, box_px=1.0)
"""A pixel of a canvas of RT-DETR is up to ten of a frame, and boxes differ by a seventh of one."""


@functools.cache
def frames() -> list[NDArray[np.uint8]]:
    return [picture(0), picture(1), *(pixels_of({"image": name}) for name in ("03_00_51_14.jpg", "seafloor-1.png"))]


def clipped(rows: list[Any], frame: NDArray[np.uint8]) -> list[Any]:
    """The original doesn't clip the boxes of RT-DETR, nor what is around a rotated box."""
    height, width = frame.shape[:2]
    return [row | {"box": np.clip(row["box"], 0, [width, height] * 2).tolist()} for row in rows]


@pytest.mark.parametrize("canvas_px", CANVASES_PX)
@pytest.mark.parametrize("layout", LAYOUTS)
def test_answers_agree_with_the_original_code_alone_and_in_a_batch(layout: str, canvas_px: tuple[int, int]) -> None:
    golden = json.loads((GOLDEN / "frames" / f"{layout}.json").read_text())
    wanted = [one["detections"] for one in golden["answers"] if tuple(one["canvas_px"]) == canvas_px]
    family = load_family(
        ModelDefinition(
            family=FAMILY_OF.get(layout[:6], "ultralytics"),
            weights=str(GOLDEN / f"{layout}.pt"),
            canvas_px=canvas_px,
        )
    )
    graph, prepared = family.build_graph(), [family.preprocess(frame) for frame in frames()]
    together = outputs_of(graph, [one.canvas for one in prepared])
    assert len(wanted) == len(together) == COUNT
    for number, (frame, one, rows) in enumerate(zip(frames(), prepared, wanted, strict=True)):
        [alone] = outputs_of(graph, [one.canvas])
        for outputs in (alone, together[number]):
            found = family.postprocess(outputs, one.geometry, limits_of(golden))
            if isinstance(family, UltralyticsRTDETR):
                assert_agrees(found, clipped(rows, frame), STRETCHED)
            else:
                assert_same_detections(found, one.geometry, clipped(rows, frame))


def outputs_of(graph: Any, canvases: list[NDArray[np.uint8]]) -> list[Outputs]:
    """Of each canvas, from one run of the graph, which is not compiled."""
    import tensorflow as tf

    found = [np.asarray(output) for output in graph(tf.constant(np.stack(canvases)))]
    return [tuple(output[row] for output in found) for row in range(len(canvases))]
