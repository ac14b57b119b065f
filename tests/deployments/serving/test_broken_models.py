"""A model that fails or hangs on everything asks to be replaced, and those who wait for it are told in time."""

import asyncio
import contextlib
import threading
import time
from collections.abc import AsyncIterator, Sequence
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from deployments.definition import UNHEALTHY_AFTER_BATCHES, ModelDefinition, ModelKnobs
from deployments.errors import DeadlineExceeded, InternalError, ModelUnavailable
from deployments.families import FAMILIES, FamilyEntry
from deployments.families.contract import Outputs, Prepared, Thresholds
from deployments.families.synthetic.fixed_answer import FixedAnswer
from deployments.prediction import Detections, Outcome, Prediction
from deployments.request import Image, Request
from deployments.runtimes import Resources
from deployments.serving.replica import Replica
from tests.support.no_meter import NoMeter

FAILS, HANGS, HANGS_AFTERWARDS = 200, 201, 202
"""The first pixel of an image that does so in the model, or in its postprocessing."""


class Broken(FixedAnswer):
    """Answers as fixed-answer does, but fails or hangs on images that say so. may_go_on: ends all hanging."""

    may_go_on = threading.Event()
    hanging = threading.Event()
    sizes: tuple[int, ...] = ()

    def preprocess(self, pixels: NDArray[np.uint8]) -> Prepared:
        return Prepared(np.ascontiguousarray(pixels[:8, :8]), int(pixels[0, 0, 0]))

    def build_graph(self) -> Any:
        answer = super().build_graph()

        def broken(batch: NDArray[np.uint8]) -> tuple[NDArray[Any], ...]:
            type(self).sizes += (len(batch),)
            if (batch[:, 0, 0, 0] == HANGS).any():
                hang()
            if (batch[:, 0, 0, 0] == FAILS).any():
                raise MemoryError("the device has no memory left")
            return tuple(answer(batch))

        return broken

    def postprocess(self, outputs: Outputs, geometry: Any, thresholds: Thresholds) -> Detections:
        if geometry == HANGS_AFTERWARDS:
            hang()
        return super().postprocess(outputs, (8, 8), thresholds)


def hang() -> None:
    Broken.hanging.set()
    Broken.may_go_on.wait()


@pytest.fixture
async def model(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Replica]:
    monkeypatch.setitem(FAMILIES, "broken", FamilyEntry(f"{__name__}:Broken", runtime="callable"))
    monkeypatch.setattr(Broken, "may_go_on", threading.Event())
    monkeypatch.setattr(Broken, "hanging", threading.Event())
    monkeypatch.setattr(Broken, "sizes", ())
    replica = Replica("m", ModelDefinition(family="broken"), Resources(), NoMeter())
    yield replica
    Broken.may_go_on.set()
    await replica.close()


def image(kind: int = 0, number: int = 0, deadline_s: float = 30) -> Request:
    """number: tells images of one kind apart."""
    pixels = np.zeros((10, 10, 3), np.uint8)
    pixels[0, 0], pixels[1, 1] = kind, number
    return Request(Image.from_pixels(pixels), deadline_s=deadline_s)


async def ask(model: Replica, requests: Sequence[Request]) -> list[type[Outcome]]:
    return [type(outcome) for outcome in await model.predict(requests)]


async def is_hanging() -> None:
    assert await asyncio.to_thread(Broken.hanging.wait, 10)


async def test_a_model_that_fails_on_every_batch_becomes_unhealthy(model: Replica) -> None:
    for number in range(UNHEALTHY_AFTER_BATCHES):
        model.check_health()
        assert await ask(model, [image(FAILS, number)]) == [InternalError]
    with pytest.raises(RuntimeError, match=r"failed on 5 batches of different images in a row.* must be replaced"):
        model.check_health()


async def test_a_batch_that_fails_counts_once_however_many_images_it_had(model: Replica) -> None:
    assert set(await ask(model, [image(FAILS, number) for number in range(8)])) == {InternalError}
    model.check_health()
    assert Broken.sizes == (8, *[1] * 8)


async def test_what_comes_to_a_model_that_waits_to_be_replaced_is_told_so_and_not_tried(model: Replica) -> None:
    model.set_knobs(ModelKnobs(unhealthy_after_batches=1))
    assert await ask(model, [image(FAILS)]) == [InternalError]
    tried = Broken.sizes
    [outcome] = await model.predict([image()])
    assert isinstance(outcome, ModelUnavailable)
    assert (
        outcome.message == "the model is being replaced: the model failed on 1 batches of different images in a row"
    )
    assert Broken.sizes == tried


async def test_images_that_wait_when_the_model_is_given_up_are_not_tried_on_it(model: Replica) -> None:
    model.set_knobs(ModelKnobs(unhealthy_after_batches=1, batch_limit=1))
    outcomes = await ask(model, [image(FAILS, number) for number in range(20)])
    assert outcomes.count(ModelUnavailable) >= 18
    assert set(outcomes) == {InternalError, ModelUnavailable}


async def test_one_poisonous_image_sent_again_and_again_does_not_kill_the_replica(model: Replica) -> None:
    for _ in range(4 * UNHEALTHY_AFTER_BATCHES):
        assert await ask(model, [image(FAILS)]) == [InternalError]
    model.check_health()
    assert await ask(model, [image()]) == [Prediction]


async def test_poisonous_images_among_good_ones_do_not_kill_the_replica(model: Replica) -> None:
    for number in range(4 * UNHEALTHY_AFTER_BATCHES):
        assert await ask(model, [image(FAILS, number), image()]) == [InternalError, Prediction]
    model.check_health()


@pytest.mark.alone
async def test_images_of_a_batch_that_hangs_are_answered_at_their_deadline_and_others_keep_their_answers(
    model: Replica,
) -> None:
    model.set_knobs(ModelKnobs(batch_limit=1))
    began_at_s = time.monotonic()
    async with asyncio.timeout(10):
        outcomes = await ask(model, [image(HANGS, deadline_s=1), image(deadline_s=1), image(deadline_s=1)])
    assert outcomes == [DeadlineExceeded, Prediction, Prediction]
    assert time.monotonic() - began_at_s < 1
    assert model.images_in_work == 0


async def test_a_batch_that_hangs_makes_the_replica_unhealthy_and_ends_all_waiting(model: Replica) -> None:
    model.set_knobs(ModelKnobs(batch_limit=1, stuck_after_s=1))
    async with asyncio.timeout(10):
        outcomes = await ask(model, [image(HANGS, number, deadline_s=60) for number in range(6)])
    assert sorted(outcome.__name__ for outcome in outcomes) == ["InternalError"] * 2 + ["ModelUnavailable"] * 4
    with pytest.raises(RuntimeError, match="a batch of 1 has run for more than 1 s"):
        model.check_health()


async def test_the_first_batch_of_a_shape_may_take_longer_as_a_program_is_made_for_it(model: Replica) -> None:
    model.set_knobs(ModelKnobs(stuck_after_s=1))
    small = np.zeros((4, 4, 3), np.uint8)
    small[0, 0] = HANGS
    asking = asyncio.create_task(model.predict([Request(Image.from_pixels(small), deadline_s=30)]))
    await is_hanging()
    began_at_s = time.monotonic()
    while time.monotonic() < began_at_s + 1.5:
        model.check_health()
        await asyncio.sleep(0.01)
    Broken.may_go_on.set()
    [outcome] = await asking
    assert isinstance(outcome, Prediction)


async def test_postprocessing_that_hangs_makes_the_replica_unhealthy(model: Replica) -> None:
    model.set_knobs(ModelKnobs(stuck_after_s=1))
    asking = asyncio.create_task(model.predict([image(HANGS_AFTERWARDS, deadline_s=2)]))
    await is_hanging()
    async with asyncio.timeout(10):
        assert [type(outcome) for outcome in await asking] == [DeadlineExceeded]
        await until_unhealthy(model)
    with pytest.raises(RuntimeError, match="the postprocessing of an image has taken more than 1 s"):
        model.check_health()


async def until_unhealthy(model: Replica) -> None:
    with contextlib.suppress(RuntimeError):
        while True:
            model.check_health()
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("kind", [HANGS, HANGS_AFTERWARDS])
async def test_closing_does_not_wait_for_a_thread_that_hangs(model: Replica, kind: int) -> None:
    asking = asyncio.create_task(model.predict([image(kind, deadline_s=1)]))
    await is_hanging()
    async with asyncio.timeout(10):
        await model.close()
        [outcome] = await asking
    assert isinstance(outcome, ModelUnavailable if kind == HANGS else DeadlineExceeded)
