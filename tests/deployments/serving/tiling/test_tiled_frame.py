"""A large image is looked at in tiles: merged, counted as so many images, ended together, and others get by."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from deployments.definition import ModelDefinition, ModelKnobs, Tiling
from deployments.errors import DeadlineExceeded, InvalidImage, InvalidRequest, Overloaded
from deployments.families.contract import Prepared
from deployments.families.synthetic.fixed_answer import FixedAnswer
from deployments.prediction import Prediction
from deployments.request import Options
from deployments.serving.batching.micro_batcher import BATCHES_AT_ONCE
from deployments.serving.replica import Replica
from deployments.serving.tiling.tiled_frame import TiledModel
from tests.deployments.serving.tiling.tiled import (
    LIMITS,
    SIX,
    SIZE_PX,
    BatchCount,
    Classifier,
    Finder,
    answer_at_once,
    boxes,
    frame,
    replica,
    request,
)


@pytest.fixture
async def one_by_one(meter: BatchCount) -> AsyncIterator[Replica]:
    """A model that takes 20 ms for an image and never two at a time."""
    model = replica(meter, largest_batch=1, delay_ms=20)
    yield model
    await model.close()


async def test_the_boxes_of_all_tiles_are_in_pixels_of_the_image(meter: BatchCount) -> None:
    model = replica(meter)
    [outcome] = await model.predict([request(Options(tiling=SIX))])
    corners = [(left, top) for left in (0, 100, 200) for top in (0, 100)]
    first = {("fixed answer A", (left + 10, top + 20, left + 50, top + 60)) for left, top in corners}
    second = {("fixed answer B", (left + 50, top + 50, left + 90, top + 90)) for left, top in corners}
    assert boxes(outcome) == first | second
    assert isinstance(outcome, Prediction)
    assert outcome.image_size_px == SIZE_PX
    assert outcome.timings.batch_size == 6
    assert outcome.timings.decode_s > 0
    assert meter.sizes == [6]
    assert model.images_in_work == 0
    await model.close()


async def test_the_model_tiles_by_its_own_knob_and_a_request_may_say_otherwise(meter: BatchCount) -> None:
    model = replica(meter)
    model.set_knobs(ModelKnobs(tiling=SIX))
    own, off, other = await model.predict(
        [
            request(Options()),
            request(Options(tiling="off")),
            request(Options(tiling=Tiling(tile_height_px=200, tile_width_px=150, overlap=0, whole_frame=False))),
        ]
    )
    assert [len(boxes(outcome)) for outcome in (own, off, other)] == [12, 2, 4]
    await model.close()


async def test_an_image_that_fits_one_tile_takes_the_usual_way(meter: BatchCount) -> None:
    model = replica(meter)
    [outcome] = await model.predict([request(Options(tiling=SIX), size_px=(100, 100))])
    assert len(boxes(outcome)) == 2
    assert meter.sizes == [1]
    await model.close()


async def test_each_tile_counts_as_an_image_for_the_limits(one_by_one: Replica, meter: BatchCount) -> None:
    one_by_one.set_knobs(ModelKnobs(max_waiting_images=5))
    [refused] = await one_by_one.predict([request(Options(tiling=SIX))])
    assert isinstance(refused, InvalidRequest)
    assert all(word in refused.message for word in ("tiling", "6 pieces", "5 images", "max_waiting_images"))

    one_by_one.set_knobs(ModelKnobs(max_waiting_images=6))
    first = asyncio.create_task(one_by_one.predict([request(Options(tiling=SIX))]))
    await meter.began.wait()
    assert one_by_one.images_in_work == 6
    [plain] = await one_by_one.predict([request(Options())])
    assert isinstance(plain, Overloaded)
    assert len(boxes((await first)[0])) == 12

    meter.began.clear()
    small = asyncio.create_task(one_by_one.predict([request(Options())]))
    await meter.began.wait()
    [tiled] = await one_by_one.predict([request(Options(tiling=SIX))])
    assert isinstance(tiled, Overloaded)
    assert "cut into 6" in tiled.message
    assert len(boxes((await small)[0])) == 2
    assert one_by_one.images_in_work == 0


async def test_the_deadline_holds_for_all_tiles_together(one_by_one: Replica, meter: BatchCount) -> None:
    [late] = await one_by_one.predict([request(Options(tiling=SIX), deadline_s=0.02)])
    assert isinstance(late, DeadlineExceeded)
    assert len(meter.sizes) < 6
    assert one_by_one.images_in_work == 0


async def test_a_cancelled_request_takes_all_its_tiles_along(one_by_one: Replica, meter: BatchCount) -> None:
    call = asyncio.create_task(one_by_one.predict([request(Options(tiling=SIX))]))
    await meter.began.wait()
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert one_by_one.images_in_work == 0
    [plain] = await one_by_one.predict([request(Options())])
    assert len(boxes(plain)) == 2
    # Two of the seven pieces were under way, and then the plain image.
    assert len(meter.sizes) <= BATCHES_AT_ONCE + 1


async def test_who_comes_later_does_not_wait_for_all_tiles(one_by_one: Replica, meter: BatchCount) -> None:
    tiling = Tiling(tile_height_px=64, tile_width_px=64, overlap=0, whole_frame=False)
    call = asyncio.create_task(one_by_one.predict([request(Options(tiling=tiling), size_px=(256, 512))]))
    await meter.began.wait()
    [plain] = await one_by_one.predict([request(Options())])
    assert len(boxes(plain)) == 2
    assert len(meter.sizes) <= 16
    assert len(boxes((await call)[0])) == 64
    assert len(meter.sizes) == 33


class Fussy(FixedAnswer):
    """Refuses a tile whose first pixel is white, and counts the tiles that it prepared."""

    prepared = 0

    def preprocess(self, pixels: NDArray[np.uint8]) -> Prepared:
        self.prepared += 1
        if pixels[0, 0, 0] == 255:
            raise InvalidImage("this tile is white")
        return super().preprocess(pixels)


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as pool:
        yield pool


async def test_a_tile_that_fails_ends_the_others(threads: ThreadPoolExecutor) -> None:
    family = Fussy(ModelDefinition(family="fixed-answer"))
    pixels = np.zeros((*SIZE_PX, 3), np.uint8)
    pixels[0, 100] = 255
    with pytest.raises(InvalidImage, match="white"):
        await TiledModel(family, threads, answer_at_once, 1).look_at(frame(pixels))
    assert family.prepared < 6


async def test_a_classifier_is_not_tiled(threads: ThreadPoolExecutor) -> None:
    with pytest.raises(InvalidRequest, match="only detectors can"):
        await TiledModel(Classifier(), threads, answer_at_once, 8).look_at(frame(np.zeros((*SIZE_PX, 3), np.uint8)))


@pytest.mark.parametrize("beside", ["masks", "corners"])
async def test_what_belongs_to_the_boxes_of_all_tiles_is_that_of_the_image(
    threads: ThreadPoolExecutor, beside: str
) -> None:
    model = TiledModel(Finder(beside), threads, answer_at_once, 8)
    for limits, count in ((LIMITS, 12), (replace(LIMITS, max_detections=0), 0)):
        part = replace(frame(np.zeros((*SIZE_PX, 3), np.uint8)), thresholds=limits)
        found, _ = await model.look_at(part)
        assert len(found) == count
        assert len(getattr(found, beside)) == count
        assert found.masks is None or found.masks.size_px == (4, 6)


async def test_keypoints_of_all_tiles_are_in_pixels_of_the_image(threads: ThreadPoolExecutor) -> None:
    model = TiledModel(Finder("keypoints"), threads, answer_at_once, 8)
    found, _ = await model.look_at(frame(np.zeros((*SIZE_PX, 3), np.uint8)))
    assert found.keypoints is not None
    assert found.keypoints.shape == (12, 4, 3)
    for box, points in zip(found.boxes, found.keypoints, strict=True):
        np.testing.assert_allclose(points, [[*(box[:2] // 100 * 100 + 7), 0.5]] * 4)
