"""Ultralytics checkpoints of other layouts than the fixtures', made by the original code.

`golden/make_ultralytics_layouts.py` says how. Large YOLO12s have a residual with a learned scale; P6 has four
levels; the first releases pickled flat module paths.
"""

import json
from pathlib import Path

import numpy as np
import pytest

from deployments.definition import ModelDefinition
from deployments.families.yolo.ultralytics import Ultralytics
from tests.deployments.families.yolo.ultralytics_rows import raw_rows

GOLDEN = Path(__file__).parents[1] / "golden"
LAYOUTS = ("yolo12-l", "yolov8-p6", "yolov8-first")
EVERY = 17


@pytest.mark.parametrize("layout", LAYOUTS)
def test_raw_rows_agree_with_the_original_code(layout: str) -> None:
    path = GOLDEN / f"{layout}.pt"
    golden = json.loads(path.with_suffix(".json").read_text())
    family = Ultralytics(ModelDefinition(family="ultralytics", weights=str(path), canvas_px=(128, 192)))
    image = np.random.default_rng(7).integers(0, 256, (128, 192, 3), np.uint8)
    rows = raw_rows(family, path, image)
    assert list(rows.T.shape) == golden["shape"]
    np.testing.assert_allclose(rows[::EVERY], golden[f"every_{EVERY}th"], rtol=1e-3, atol=1e-3)


def test_the_size_that_it_was_trained_at_is_the_canvas() -> None:
    family = Ultralytics(ModelDefinition(family="ultralytics", weights=str(GOLDEN / "yolov8-p6.pt")))
    assert family.canvas_px == (192, 192)
    assert family.labels == ("coral", "crinoid", "sponge", "fish")
