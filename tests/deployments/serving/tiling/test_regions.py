"""Only parts of an image are looked at where a request says so."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from deployments.definition import ModelDefinition, ModelKnobs, Tiling
from deployments.errors import InvalidRequest
from deployments.families.contract import Outputs, Thresholds
from deployments.families.synthetic.fixed_answer import FixedAnswer
from deployments.prediction import Detections, Prediction
from deployments.request import Options
from deployments.serving.tiling.tiled_frame import TiledModel
from deployments.serving.tiling.tiles import MAX_TILES, Tile, cut_into_regions
from tests.deployments.serving.tiling.tiled import (
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
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as pool:
        yield pool


async def test_only_regions_are_looked_at_and_boxes_are_in_pixels_of_the_image(meter: BatchCount) -> None:
    model = replica(meter)
    regions = ((0, 100, 100, 200), (150, 20, 250, 120))
    [outcome] = await model.predict([request(Options(regions=regions))])
    first = {("fixed answer A", (left + 10, top + 20, left + 50, top + 60)) for left, top, _, _ in regions}
    second = {("fixed answer B", (left + 50, top + 50, left + 90, top + 90)) for left, top, _, _ in regions}
    assert boxes(outcome) == first | second
    assert isinstance(outcome, Prediction)
    assert outcome.image_size_px == SIZE_PX
    assert sum(meter.sizes) == 2
    [alone] = await model.predict([request(Options(regions=regions[:1]))])
    assert {box for _, box in boxes(alone)} == {(10, 120, 50, 160), (50, 150, 90, 190)}
    await model.close()


async def test_regions_are_cut_into_tiles_where_that_is_asked_for_too(meter: BatchCount) -> None:
    model = replica(meter)
    [outcome] = await model.predict([request(Options(tiling=SIX, regions=((100, 0, 300, 100),)))])
    assert {box for _, box in boxes(outcome)} == {
        (110, 20, 150, 60), (150, 50, 190, 90), (210, 20, 250, 60), (250, 50, 290, 90),
    }  # fmt: skip
    model.set_knobs(ModelKnobs(tiling=SIX))
    [by_knob, off] = await model.predict(
        [request(Options(tiling=one, regions=((100, 0, 300, 100),))) for one in (None, "off")]
    )
    assert (len(boxes(by_knob)), len(boxes(off))) == (4, 2)
    await model.close()


async def test_a_region_outside_the_image_is_refused_with_the_limit(meter: BatchCount) -> None:
    model = replica(meter)
    [outcome] = await model.predict([request(Options(regions=((0, 0, 10, 10), (0, 0, 301, 10))))])
    assert isinstance(outcome, InvalidRequest)
    assert outcome.message == "regions[1] ends at x2 = 301, y2 = 10, outside the image of 300 x 200 pixels"
    assert meter.sizes == []
    await model.close()


async def test_masks_of_a_region_lie_where_it_does(threads: ThreadPoolExecutor) -> None:
    whole = replace(frame(np.zeros((*SIZE_PX, 3), np.uint8)), tiles=[Tile(50, 150, 100, 200)], asked_for="regions")
    found, _ = await TiledModel(Finder("masks"), threads, answer_at_once, 8).look_at(whole)
    assert found.masks is not None
    assert found.masks.size_px == (8, 12)
    np.testing.assert_array_equal(np.argwhere(found.masks.dense(0)), [[2, 6], [2, 7], [3, 6], [3, 7]])


async def test_regions_of_a_classifier_are_refused_by_that_name(threads: ThreadPoolExecutor) -> None:
    whole = replace(frame(np.zeros((*SIZE_PX, 3), np.uint8)), tiles=[Tile(0, 0, 50, 50)], asked_for="regions")
    with pytest.raises(InvalidRequest, match="regions: this model answers class scores and no boxes"):
        await TiledModel(Classifier(), threads, answer_at_once, 8).look_at(whole)


class Twins(FixedAnswer):
    """Finds the same animal twice, as a model without NMS may."""

    def postprocess(self, outputs: Outputs, geometry: object, thresholds: Thresholds) -> Detections:
        return super().postprocess(outputs, geometry, thresholds).picked(np.array([0, 0]))


async def test_what_a_single_region_shows_is_not_thinned_out_by_overlap(threads: ThreadPoolExecutor) -> None:
    family = Twins(ModelDefinition(family="fixed-answer"))
    region = [Tile(0, 0, 100, 100)]
    for tiles, count in ((region, 2), (region * 2, 1)):
        part = replace(frame(np.zeros((*SIZE_PX, 3), np.uint8)), tiles=tiles)
        found, _ = await TiledModel(family, threads, answer_at_once, 8).look_at(part)
        assert len(found) == count


async def test_keypoints_of_a_region_are_in_pixels_of_the_image(threads: ThreadPoolExecutor) -> None:
    part = replace(frame(np.zeros((*SIZE_PX, 3), np.uint8)), tiles=[Tile(40, 60, 140, 160)])
    found, _ = await TiledModel(Finder("keypoints"), threads, answer_at_once, 8).look_at(part)
    assert found.keypoints is not None
    np.testing.assert_allclose(found.keypoints, [[[67, 47, 0.5]] * 4] * 2)


def test_regions_and_their_tiles_are_limited_together() -> None:
    tiling = Tiling(tile_height_px=100, tile_width_px=100, overlap=0, whole_frame=True)
    regions = [(0, 100, 200, 300), (300, 0, 400, 100)]
    assert cut_into_regions((400, 400), regions, tiling, (64, 64)) == (
        Tile(100, 0, 300, 200),
        *(Tile(top, left, top + 100, left + 100) for top in (100, 200) for left in (0, 100)),
        Tile(0, 300, 100, 400),
    )
    with pytest.raises(InvalidRequest, match=f"regions: their tiles are 80 pieces, the limit is {MAX_TILES}"):
        cut_into_regions((400, 400), regions[:1] * 16, tiling, (64, 64))
