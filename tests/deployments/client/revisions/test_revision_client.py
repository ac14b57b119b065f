"""A candidate answers in its model's place, or looks over its shoulder, and costs no client anything."""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
import pytest

from deployments.catalogue import ModelRecord, ModelState
from deployments.client.model_client import ModelClient
from deployments.client.outcomes import ReplicaDied
from deployments.client.replica_calls import ReplicaCalls
from deployments.client.revisions.comparison import Comparison
from deployments.client.revisions.revision_client import RevisionClient
from deployments.client.revisions.shadows import MOST_AT_ONCE, MOST_BYTES
from deployments.errors import InvalidImage, ModelUnavailable, Overloaded, ServingError
from deployments.prediction import ClassScores, Detections, Outcome, Prediction
from deployments.request import Image, Request
from tests.deployments.client.revisions.revision_records import candidate, plain

Answer = Callable[[Request], Outcome]


def boxes(model: str, *labels: str) -> Prediction:
    count = len(labels)
    corners = np.arange(count * 4, dtype=np.float32).reshape(count, 4)
    found = Detections(corners, np.full(count, 0.5, np.float32), np.zeros(count, np.int32), labels)
    return Prediction(found, (8, 8), model, "1")


class Calls(ReplicaCalls):
    """The calls to one model, answered by a test."""

    def __init__(self, model: str, world: "World") -> None:
        super().__init__(model)
        self._world = world

    async def send(self, requests: list[Request]) -> list[Outcome]:
        return await self._world.answer(self._model, requests)


class World:
    """Models that answer at once, each with its name, and what was asked of them."""

    def __init__(self, *records: ModelRecord) -> None:
        self.records = (plain("main"), *records)
        self.asked: Counter[str] = Counter()
        self.requests: list[tuple[str, Request]] = []
        self.instead: dict[str, Outcome | Exception] = {}
        self.shares: Counter[tuple[str, str]] = Counter()
        self.shadows: Counter[tuple[str, str]] = Counter()
        self.comparisons: list[Comparison] = []
        self.hanging: set[str] = set()
        self.ended = asyncio.Event()
        self.is_asked = asyncio.Event()
        client = ModelClient(calls_of=lambda model: Calls(model, self))
        self.client = RevisionClient(client, lambda: self.records, self)

    async def answer(self, model: str, requests: list[Request]) -> list[Outcome]:
        self.asked[model] += len(requests)
        self.is_asked.set()
        self.requests += [(model, one) for one in requests]
        if model in self.hanging:
            await asyncio.Event().wait()
        found = self.instead.get(model, boxes(model, "Crab"))
        if isinstance(found, Exception) and not isinstance(found, ServingError):
            raise found
        return [found] * len(requests)

    def shared(self, candidate: ModelRecord, outcome: str, count: int) -> None:
        if count:
            self.shares[candidate.name, outcome] += count

    def shadowed(self, candidate: ModelRecord, outcome: str) -> None:
        self.shadows[candidate.name, outcome] += 1
        self.ended.set()

    def compared(self, candidate: ModelRecord, comparison: Comparison) -> None:
        self.comparisons.append(comparison)

    async def until_shadows(self, count: int) -> None:
        async with asyncio.timeout(5):
            while self.shadows.total() < count:
                self.ended.clear()
                await self.ended.wait()


def requests(count: int, size_bytes: int = 4, deadline_s: float = 30.0) -> list[Request]:
    image = Image(encoded=np.zeros(size_bytes, np.uint8))
    return [
        Request(image, deadline_s=deadline_s, waiting_behind=7, request_id=f"frame-{number}")
        for number in range(count)
    ]


def models_of(outcomes: Sequence[Outcome]) -> list[str]:
    return [one.model if isinstance(one, Prediction) else type(one).__name__ for one in outcomes]


async def test_the_answers_of_one_question_keep_their_order_whoever_answers() -> None:
    world = World(candidate("next", share=0.5))
    outcomes = await world.client("main", requests(30))
    together = models_of(outcomes)
    assert 5 < together.count("next") < 25
    alone = [models_of(await world.client("main", [one]))[0] for one in requests(30)]
    assert alone == together
    assert world.shares["next", "answered"] == 2 * together.count("next")


async def test_what_waits_behind_a_request_waits_for_the_model_and_not_for_its_candidate() -> None:
    world = World(candidate("next", share=0.5))
    await world.client("main", requests(30))
    assert {(model, one.waiting_behind) for model, one in world.requests} == {("main", 7), ("next", None)}


async def test_a_candidate_is_asked_by_its_name_too() -> None:
    world = World(candidate("next", share=0))
    assert models_of(await world.client("next", requests(1))) == ["next"]


@pytest.mark.parametrize(
    "trouble",
    [ModelUnavailable("away"), Overloaded("full"), InvalidImage("no class of this name"), ReplicaDied("next")],
    ids=["unavailable", "overloaded", "refused", "dies"],
)
async def test_what_a_candidate_cannot_answer_the_model_does(trouble: Outcome | Exception) -> None:
    world = World(candidate("next", share=1))
    world.instead["next"] = trouble
    assert models_of(await world.client("main", requests(3))) == ["main"] * 3
    assert world.asked == {"next": 3, "main": 3}, "its second attempt is the model's"
    assert world.shares == {("next", "passed-on"): 3}


async def test_a_candidate_that_hangs_leaves_its_model_the_time_that_is_needed(
    caplog: pytest.LogCaptureFixture,
) -> None:
    world = World(candidate("next", share=1))
    world.hanging.add("next")
    assert models_of(await world.client("main", requests(1, deadline_s=0.2))) == ["main"]
    left_s = next(one.deadline_s for model, one in world.requests if model == "main")
    assert 0.05 < left_s <= 0.1
    assert models_of(await world.client("main", requests(5))) == ["main"] * 5
    assert world.asked["next"] == 1, "nobody waits for it until its pause is over"
    assert [line.getMessage() for line in caplog.records] == [
        "candidate next gets no requests of main for 10 s: model next did not answer within 0.1 s"
    ]


@pytest.mark.parametrize("state", [one for one in ModelState if one is not ModelState.READY])
async def test_a_candidate_that_is_not_ready_gets_nothing(state: ModelState) -> None:
    world = World(candidate("next", state=state, share=1), candidate("other", state=state, shadow=1))
    assert models_of(await world.client("main", requests(2))) == ["main"] * 2
    assert world.asked == {"main": 2}
    assert world.shadows == {("other", "dropped"): 2}


async def test_errors_of_the_model_stay_its_own() -> None:
    world = World(candidate("next", share=1), candidate("other", shadow=1))
    world.instead = {"next": Overloaded("full"), "main": InvalidImage("bad")}
    [outcome] = await world.client("main", requests(1))
    assert isinstance(outcome, InvalidImage)
    assert world.shadows == {}


async def test_a_shadow_is_compared_and_its_client_hears_nothing_of_it(caplog: pytest.LogCaptureFixture) -> None:
    world = World(candidate("next", shadow=1))
    world.instead["next"] = boxes("next", "Crab", "Fish")
    caplog.set_level(logging.INFO)
    assert models_of(await world.client("main", requests(2))) == ["main", "main"]
    await world.until_shadows(2)
    assert world.shadows == {("next", "differing"): 2}
    assert world.comparisons == [Comparison(1, 0, 1, 0)] * 2
    assert {getattr(line, "request_id", "") for line in caplog.records} == {"frame-0", "frame-1"}
    assert "only in the candidate's" in caplog.text
    world.instead["next"] = boxes("next", "Crab")
    await world.client("main", requests(1))
    await world.until_shadows(3)
    assert world.shadows["next", "same"] == 1


@pytest.mark.parametrize(
    "trouble",
    [
        Overloaded("full"),
        ReplicaDied("next"),
        ZeroDivisionError(),
        Prediction(ClassScores(np.zeros(1, np.float32), ("a",)), (1, 1), "next", "2"),
    ],
    ids=["overloaded", "dies", "a fault", "no boxes"],
)
async def test_a_shadow_that_fails_is_counted_and_asked_once(trouble: Outcome | Exception) -> None:
    world = World(candidate("next", shadow=1))
    world.instead["next"] = trouble
    assert models_of(await world.client("main", requests(1))) == ["main"]
    await world.until_shadows(1)
    assert world.shadows == {("next", "failed"): 1}
    assert world.asked == {"main": 1, "next": 1}


async def test_copies_beyond_the_most_that_are_under_way_are_dropped_and_stop_ends_the_others() -> None:
    world = World(candidate("next", shadow=1))
    world.hanging.add("next")
    count = MOST_AT_ONCE + 3
    assert models_of(await world.client("main", requests(count))) == ["main"] * count
    assert world.shadows == {("next", "dropped"): 3}
    await world.client.stop()
    world.hanging.clear()
    await world.client("main", requests(1))
    await world.until_shadows(4)
    assert world.shadows["next", "same"] == 1


async def test_copies_hold_no_more_than_so_many_bytes() -> None:
    world = World(candidate("next", shadow=1))
    world.hanging.add("next")
    assert models_of(await world.client("main", requests(3, size_bytes=MOST_BYTES // 2))) == ["main"] * 3
    assert world.shadows == {("next", "dropped"): 1}
    await world.client.stop()


async def test_a_client_that_goes_takes_its_work_with_it() -> None:
    world = World(candidate("next", share=1))
    world.hanging.add("next")
    asking = asyncio.create_task(world.client("main", requests(2)))
    async with asyncio.timeout(5):
        await world.is_asked.wait()
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert world.asked == {"next": 2}
