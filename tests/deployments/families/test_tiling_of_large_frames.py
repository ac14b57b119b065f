"""Tiling with a real model: small animals of a 4K frame are found that one look at the whole frame misses."""

from typing import Literal

from deployments.definition import ModelDefinition, ModelKnobs, Tiling
from deployments.prediction import Detections, Outcome, Prediction
from deployments.request import Image, Options, Request
from deployments.runtimes import Resources
from deployments.serving.replica import Replica
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
