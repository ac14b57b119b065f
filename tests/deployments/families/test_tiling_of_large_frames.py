"""Tiling with a real model: small animals of a 4K frame are found that one look at the whole frame misses."""

from typing import Literal

import numpy as np
import pytest

from deployments.definition import ModelDefinition, ModelKnobs, Tiling
from deployments.prediction import Detections, Outcome, Prediction
from deployments.request import Image, Options, Request
from deployments.runtimes import Resources
from deployments.serving.replica import Replica
from tests.deployments.families.golden_cases import GOLDEN
from tests.deployments.families.large_frames import SIZE_PX, Drawn, mosaic, recall
from tests.support.no_meter import NoMeter
from tests.support.tensorflow_runtime import THREADS


def recall_of(outcome: Outcome, truth: list[Drawn]) -> float:
    assert isinstance(outcome, Prediction), outcome
    assert isinstance(outcome.result, Detections)
    return recall([(one.label, one.box) for one in outcome.result], truth)


async def test_small_animals_of_a_4k_frame_are_found_that_one_look_misses() -> None:
    model = Replica("demo", ModelDefinition(family="benthic-demo"), Resources(cpu_threads=THREADS), NoMeter())
    model.set_knobs(ModelKnobs(max_waiting_images=128))
    frame, truth = mosaic()
    assert frame.shape == (*SIZE_PX, 3)
    assert len(truth) >= 30
    tilings: list[Tiling | Literal["off"]] = ["off", Tiling(tile_height_px=540, tile_width_px=960), Tiling()]
    image = Image.from_pixels(frame)
    outcomes = await model.predict(
        [Request(image, Options(tiling=tiling, max_detections=1000), deadline_s=100) for tiling in tilings]
    )
    await model.close()
    whole, tiled, by_default = (recall_of(outcome, truth) for outcome in outcomes)
    assert tiled >= 0.85
    assert by_default >= 0.85
    assert whole <= 0.55


@pytest.mark.parametrize("layout", ["yolov8-seg", "yolo11-obb", "yolo11-pose"])
async def test_what_belongs_to_a_box_lies_in_it_in_pixels_of_the_frame(layout: str) -> None:
    definition = ModelDefinition(
        family="ultralytics", weights=str(GOLDEN / f"{layout}.pt"), canvas_px=(128, 192), largest_batch=4
    )
    model = Replica(layout, definition, Resources(cpu_threads=THREADS), NoMeter())
    frame = np.random.default_rng(3).integers(0, 256, (200, 330, 3), np.uint8)
    tiling = Tiling(overlap=0.25, whole_frame=False)
    options = Options(score_threshold=0.5, iou_threshold=0.5, max_detections=40, tiling=tiling)
    [outcome] = await model.predict([Request(Image.from_pixels(frame), options, deadline_s=100)])
    await model.close()
    assert isinstance(outcome, Prediction), outcome
    found = outcome.result
    assert isinstance(found, Detections)
    assert len(found) > 5
    assert found.boxes[:, 2].max() > 192, "beyond the first tile"
    for index, (x1, y1, x2, y2) in enumerate(found.boxes):
        if found.masks is not None:
            assert found.masks.size_px == (200, 330)
            rows, columns = found.masks.dense(index).nonzero()
            places = np.stack([columns, rows], axis=1)
        elif found.corners is not None:
            places = np.clip(found.corners[index], 0, [330, 200])
        else:
            assert found.keypoints is not None
            # Keypoints may lie beside their box, but not beside the frame.
            places, (x1, y1, x2, y2) = found.keypoints[index, :, :2], (0, 0, 330, 200)
        assert len(places)
        assert (places >= [x1 - 1.5, y1 - 1.5]).all()
        assert (places <= [x2 + 1.5, y2 + 1.5]).all()
