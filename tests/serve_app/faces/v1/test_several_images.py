"""Several images of one request to `/v1`: asked at once, answered in order, each failing alone."""

import asyncio
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, field

import httpx
import pytest

from deployments.errors import DeadlineExceeded, InvalidImage, Overloaded
from deployments.prediction import Outcome
from deployments.request import Request
from tests.serve_app.conftest import FakeSystem, record
from tests.serve_app.faces.v1.predicting import (
    PATH,
    SCORES,
    base64_of,
    post_form,
    post_raw,
    prediction,
    problem_in,
)
from tests.serve_app.uploads import picture


@dataclass
class Scripted:
    """A `predict` with an outcome for each image, in the order in which it is asked, and all at the same time."""

    outcomes: list[Outcome]
    under_way: int = 0
    ended: int = 0
    asked: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(0))
    may_answer: asyncio.Event = field(default_factory=asyncio.Event)

    async def __call__(self, model: str, requests: Sequence[Request]) -> list[Outcome]:
        number = self.under_way
        self.under_way += 1
        self.asked.release()
        try:
            await self.may_answer.wait()
        finally:
            self.ended += 1
        return [self.outcomes[number] for _ in requests]


async def test_several_images_are_asked_at_once_and_answered_in_order(client: httpx.AsyncClient) -> None:
    sizes = [(10, 20), (30, 40), (50, 60)]
    answer = await post_form(client, *(picture(size) for size in sizes))
    entries = answer.json()["images"]
    assert [(one["width"], one["height"]) for one in entries] == sizes
    assert [one["name"] for one in entries] == ["frame-0.png", "frame-1.png", "frame-2.png"]
    assert "server-timing" not in answer.headers
    answer = await client.post(PATH, json={"images": [base64_of(picture(size)) for size in sizes]})
    assert [(one["width"], one["height"]) for one in answer.json()["images"]] == sizes


async def test_an_image_that_fails_fails_alone(client: httpx.AsyncClient) -> None:
    answer = await post_form(client, picture(), b"no picture", picture((8, 8)))
    assert answer.status_code == 200
    good, bad, other = answer.json()["images"]
    assert len(good["detections"]) == len(other["detections"]) == 2
    assert set(bad) == {"name", "error"}
    assert (bad["name"], bad["error"]["status"], bad["error"]["code"]) == ("frame-1.png", 422, "invalid-image")


async def test_where_all_fail_alike_the_problem_is_the_answer(client: httpx.AsyncClient, system: FakeSystem) -> None:
    assert problem_in(await post_form(client, b"none", b"of these"), 422)["code"] == "invalid-image"
    assert problem_in(await post_raw(client, b"no picture"), 422)["code"] == "invalid-image"
    system.fails_with = Overloaded("128 images wait")
    answer = await post_form(client, picture(), picture())
    assert problem_in(answer, 429)["detail"] == "128 images wait"
    assert answer.headers["retry-after"] == "1"


@pytest.fixture
def model(system: FakeSystem) -> Scripted:
    """Answers in the place of the system's model, once it may."""
    model = Scripted([])
    system.predict = model  # type: ignore[method-assign]
    return model


async def test_where_all_fail_differently_each_says_why(model: Scripted, client: httpx.AsyncClient) -> None:
    model.outcomes = [InvalidImage("broken"), DeadlineExceeded("late")]
    model.may_answer.set()
    answer = await post_form(client, picture(), picture())
    assert answer.status_code == 200
    assert [one["error"]["status"] for one in answer.json()["images"]] == [422, 504]


async def test_where_all_fail_with_one_status_the_problem_says_which_image_it_tells_of(
    model: Scripted, client: httpx.AsyncClient
) -> None:
    model.outcomes = [InvalidImage("cut off"), InvalidImage("no picture")]
    model.may_answer.set()
    assert problem_in(await post_form(client, picture(), picture()), 422)["detail"] == "image 1 of 2: cut off"


async def test_an_image_that_another_revision_answered_says_so(
    model: Scripted, client: httpx.AsyncClient, system: FakeSystem
) -> None:
    system.records_now.append(record("newer", licence="MIT", revision="2"))
    model.outcomes = [prediction(SCORES), prediction(SCORES, "newer", "2")]
    model.may_answer.set()
    body = (await post_form(client, picture(), picture())).json()
    first, second = body["images"]
    assert (body["model"], body["revision"], body["licence"]) == ("benthic-demo", "1", None)
    assert "model" not in first
    assert (second["model"], second["revision"], second["licence"]) == ("newer", "2", "MIT")


async def test_a_client_that_leaves_ends_all_its_images(model: Scripted, client: httpx.AsyncClient) -> None:
    asking = asyncio.create_task(post_form(client, *[picture()] * 3))
    async with asyncio.timeout(10):
        for _ in range(3):
            await model.asked.acquire()
    asking.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await asking
    assert model.ended == 3
