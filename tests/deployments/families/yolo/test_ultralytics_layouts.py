"""Ultralytics checkpoints of other layouts than the fixtures', made by the original code.

`golden/make_ultralytics_layouts.py` says how. Large YOLO12s have a residual with a learned scale; P6 has four levels;
YOLOv9s pool before they convolve; YOLOv6 has transposed convolutions, and there are ghosts; YOLOv10 and YOLO26 have
two heads; the first releases pickled flat module paths. One file is
as its trainer leaves it after an epoch, one was saved after `fuse()`.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from deployments.definition import ModelDefinition
from deployments.errors import ModelUnavailable
from deployments.families.contract import Thresholds
from deployments.families.yolo.ultralytics import Ultralytics
from tests.deployments.families.yolo.ultralytics_rows import raw_rows

GOLDEN = Path(__file__).parents[1] / "golden"
TWO_HEADS = ("yolov10-n", "yolo26-unstripped")
ONE_HEAD = ("yolo12-l", "yolov6-n", "yolov8-p6", "yolov8-ghost", "yolov8-first", "yolov9-t", "yolov9-c")
LAYOUTS = (*ONE_HEAD, *TWO_HEADS)
EVERY = 17


def golden_of(layout: str) -> Any:
    return json.loads((GOLDEN / f"{layout}.json").read_text())


def family_of(layout: str, canvas_px: tuple[int, int] | None = (128, 192), **parameters: Any) -> Ultralytics:
    path = str(GOLDEN / f"{layout}.pt")
    return Ultralytics(
        ModelDefinition(family="ultralytics", weights=path, canvas_px=canvas_px, parameters=parameters)
    )


def image() -> NDArray[np.uint8]:
    return np.random.default_rng(7).integers(0, 256, (128, 192, 3), np.uint8)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_raw_rows_agree_with_the_original_code(layout: str) -> None:
    golden = golden_of(layout)
    family = family_of(layout, **({"head": "one-to-many"} if layout in TWO_HEADS else {}))
    rows = raw_rows(family, GOLDEN / f"{layout}.pt", image())
    assert list(rows.T.shape) == golden["shape"]
    np.testing.assert_allclose(rows[::EVERY], golden[f"every_{EVERY}th"], rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("layout", [*TWO_HEADS, "yolov10-fused"])
def test_the_one_to_one_head_agrees_with_the_original_code(layout: str) -> None:
    import tensorflow as tf

    family = family_of(layout)
    boxes, scores, classes = (np.asarray(one[0]) for one in family.build_graph()(tf.constant(image()[None])))
    expected = np.array(golden_of(layout)["one_to_one"])
    np.testing.assert_allclose(scores[: len(expected)], expected[:, 4], atol=1e-4)
    np.testing.assert_allclose(boxes[: len(expected)], expected[:, :4], atol=0.01)
    np.testing.assert_array_equal(classes[: len(expected)], expected[:, 5])
    # However low the IoU threshold is, only boxes without area are left out, as random weights give some.
    real = expected[(expected[:, 2] > expected[:, 0]) & (expected[:, 3] > expected[:, 1])]
    best = Thresholds(score_threshold=0.5, iou_threshold=0.0, max_detections=len(real))
    detections = family.postprocess((boxes, scores, classes), family.preprocess(image()).geometry, best)
    np.testing.assert_allclose(detections.scores, real[:, 4], atol=1e-4)
    none = Thresholds(score_threshold=float(scores[0]), iou_threshold=0.0, max_detections=300)
    assert not len(family.postprocess((boxes, scores, classes), family.preprocess(image()).geometry, none).scores)


def test_only_a_head_that_is_there_can_answer() -> None:
    with pytest.raises(ModelUnavailable, match=r"yolov8-p6\.pt.*has no one-to-one head, only one-to-many"):
        family_of("yolov8-p6", head="one-to-one")
    with pytest.raises(ModelUnavailable, match="has no one-to-many head, only one-to-one"):
        family_of("yolov10-fused", head="one-to-many")


@pytest.mark.parametrize("layout", ["yolov8-p6", "yolo26-unstripped"])
def test_the_size_that_it_was_trained_at_is_the_canvas(layout: str) -> None:
    family = family_of(layout, canvas_px=None)
    assert family.canvas_px == (192, 192)
    assert family.labels == ("coral", "crinoid", "sponge", "fish")
