"""Files that ultralytics' own exporter made (golden/make_generic_onnx.py) against its own outputs."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from deployments.families.contract import Thresholds
from deployments.prediction import Detections
from tests.deployments.families.golden.generic_pictures import picture
from tests.deployments.families.served import Served

GOLDEN = Path(__file__).parents[1] / "golden"
CANVAS_PX = (192, 192)
SHAPES_PX = [(97, 160), (192, 192), (240, 135)]


@pytest.fixture(scope="module")
def from_checkpoint() -> Served:
    """The checkpoint from which the ONNX files were exported, served as it is."""
    args = {"family": "ultralytics", "weights": str(GOLDEN / "yolov8-first.pt"), "canvas_px": CANVAS_PX}
    return Served(args, largest_batch=1)


def served_onnx(name: str, **parameters: Any) -> Served:
    """With the canvas and the labels that the file carries."""
    args = {"family": "onnx", "weights": str(GOLDEN / name), "parameters": {"pixel_range": "0..1", **parameters}}
    return Served(args, largest_batch=2)


def assert_same(found: Detections, wanted: Detections, score: float) -> None:
    """Each detection of one has its like in the other, but for a few: those near the threshold, and very large ones,
    which the exporter's NMS lets suppress each other across classes."""
    assert len(found) >= 20
    for one, other in ((found, wanted), (wanted, found)):
        box_px = np.abs(one.boxes[:, None] - other.boxes[None]).max(axis=2)
        scores = np.abs(one.scores[:, None] - other.scores[None])
        same_class = one.class_ids[:, None] == other.class_ids[None]
        alone = ~((box_px < 0.5) & (scores < score) & same_class).any(axis=1)
        assert alone.sum() <= 2 + len(one) // 50, (one.boxes[alone], one.scores[alone])


@pytest.mark.parametrize("shape_px", SHAPES_PX)
def test_an_export_without_nms_finds_what_the_checkpoint_finds(
    from_checkpoint: Served, shape_px: tuple[int, int]
) -> None:
    """In float16, in which NMS of a random network would choose otherwise, so without it."""
    limits = Thresholds(0.2, 1.0, 1000)
    model = served_onnx("yolov8-first-half.onnx", task="detector", outputs="raw-head")
    [found], [wanted] = (one.answer([picture(*shape_px)], limits) for one in (model, from_checkpoint))
    assert model.family.labels == from_checkpoint.family.labels
    assert_same(found, wanted, score=5e-3)


@pytest.mark.parametrize("shape_px", SHAPES_PX)
def test_an_export_with_nms_finds_what_the_checkpoint_finds(
    from_checkpoint: Served, shape_px: tuple[int, int]
) -> None:
    limits = Thresholds(0.1, 0.5, 300)
    model = served_onnx("yolov8-first-nms.onnx", task="detector", outputs="end-to-end")
    [found], [wanted] = (one.answer([picture(*shape_px)], limits) for one in (model, from_checkpoint))
    assert_same(found, wanted, score=1e-4)


def test_a_classifier_answers_as_its_own_predictor_does() -> None:
    golden = json.loads((GOLDEN / "yolov8-cls.json").read_text())
    model = served_onnx("yolov8-cls.onnx", task="classifier", interpolation="antialiased")
    pictures: list[NDArray[np.uint8]] = [picture(*case["shape_px"]) for case in golden["answers"]]
    for found, case in zip(model.answer(pictures), golden["answers"], strict=True):
        assert list(found.labels) == golden["names"]
        np.testing.assert_allclose(found.scores, case["probabilities"], atol=1e-4)
