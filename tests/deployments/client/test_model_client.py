"""What a door asks together goes to the model in one call; each request keeps its own outcome."""

import asyncio
from collections.abc import Sequence
from functools import partial

import numpy as np
import pytest
from ray.exceptions import RayActorError
from ray.serve.handle import DeploymentHandle

from deployments.client.call_batching import MAX_REQUESTS_A_CALL
from deployments.client.model_client import ModelClient
from deployments.client.replica_calls import BY_REFERENCE_FROM_BYTES, ReplicaCalls
from deployments.client.retries import ATTEMPTS_AT_ONCE
from deployments.errors import DeadlineExceeded, InternalError, ModelCrashed, ModelUnavailable, ServingError
from deployments.prediction import Opaque, Outcome
from deployments.request import Image, Request


def requests(count: int, size_bytes: int = 4, deadline_s: float = 5.0) -> list[Request]:
    """Images whose first byte is their number."""
    images = [np.full(size_bytes, number, np.uint8) for number in range(count)]
    return [Request(Image(encoded=image), deadline_s=deadline_s) for image in images]


class Remote(ReplicaCalls):
    """The calls to one model, answered by the client of a test."""

    def __init__(self, client: "Calls", model: str) -> None:
        super().__init__(model)
        self._client = client

    async def handle(self) -> DeploymentHandle:
        return DeploymentHandle(self._model, "test")

    async def _remote(self, handle: DeploymentHandle, requests: list[Request]) -> list[Outcome]:
        return await self._client.answer(requests)


class Calls(ModelClient):
    """The client with the remote call itself in a test's hands. error: raised by every call.
    killer: the number of an image that kills its replica."""

    def __init__(self, error: Exception | None = None, killer: int | None = None) -> None:
        super().__init__(calls_of=partial(Remote, self))
        self.error = error
        self.killer = killer
        self.sent: list[list[int]] = []

    async def answer(self, requests: Sequence[Request]) -> list[Outcome]:
        """What the remote call returns or raises."""
        numbers = [int(one.image.encoded[0]) for one in requests if one.image.encoded is not None]
        self.sent.append(numbers)
        if self.killer in numbers:
            raise RayActorError
        if self.error is not None:
            raise self.error
        return [Opaque(bytes([number]), "m") for number in numbers]


@pytest.mark.parametrize("size_bytes", [4, BY_REFERENCE_FROM_BYTES])
async def test_requests_of_one_question_share_a_call(size_bytes: int) -> None:
    client = Calls()
    assert await client("m", requests(16, size_bytes)) == [Opaque(bytes([number]), "m") for number in range(16)]
    assert client.sent == [list(range(16))]


async def test_too_many_requests_for_one_call_are_answered_all_the_same() -> None:
    client = Calls()
    count = MAX_REQUESTS_A_CALL + 1
    assert await client("m", requests(count)) == [Opaque(bytes([number]), "m") for number in range(count)]
    assert max(map(len, client.sent)) <= MAX_REQUESTS_A_CALL


async def test_a_request_that_kills_replicas_does_not_take_those_with_it_that_shared_its_call() -> None:
    client = Calls(killer=1)
    outcomes = await client("m", requests(3))
    assert [type(outcome) for outcome in outcomes] == [Opaque, ModelCrashed, Opaque]
    assert client.sent == [[0, 1, 2], [0], [1], [2]]


@pytest.mark.parametrize(
    ("error", "told"), [(ModelUnavailable("away"), ModelUnavailable), (ZeroDivisionError("secret"), InternalError)]
)
async def test_a_call_that_fails_is_an_error_of_each_of_its_requests(
    error: Exception, told: type[ServingError]
) -> None:
    outcomes = await Calls(error)("m", requests(2))
    assert [type(outcome) for outcome in outcomes] == [told, told]
    assert all("secret" not in str(outcome) for outcome in outcomes)


@pytest.mark.parametrize("count", [1, 3])
async def test_what_is_tried_once_is_not_sent_again_when_its_replica_dies(count: int) -> None:
    client = Calls(killer=0)
    outcomes = await client.try_once("m", requests(count))
    assert [type(outcome) for outcome in outcomes] == [ModelUnavailable] * count
    assert client.sent == [list(range(count))]


class Silent(Calls):
    """A model that never answers."""

    async def answer(self, requests: Sequence[Request]) -> list[Outcome]:
        await asyncio.Event().wait()
        return []


async def test_a_shared_call_is_over_at_the_first_deadline() -> None:
    outcomes = await Silent()("m", [*requests(1, deadline_s=0.05), *requests(1, deadline_s=5.0)])
    assert [type(outcome) for outcome in outcomes] == [DeadlineExceeded, DeadlineExceeded]


async def rounds(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


class Mortal(Calls):
    """A model with one replica at a time, which takes some rounds of the loop for a call. The images in `killers`
    kill it in half of that, with all that it has in work."""

    def __init__(self, killers: set[int]) -> None:
        super().__init__()
        self.killers = killers
        self.deaths = 0
        self.most_at_once = 0
        self.deadlines_s: list[float] = []
        self._in_work = 0

    async def answer(self, requests: Sequence[Request]) -> list[Outcome]:
        life = self.deaths
        numbers = [int(one.image.encoded[0]) for one in requests if one.image.encoded is not None]
        self.sent.append(numbers)
        self.deadlines_s += [one.deadline_s for one in requests]
        self._in_work += 1
        self.most_at_once = max(self.most_at_once, self._in_work)
        try:
            await rounds(10)
            if self.killers & set(numbers) and life == self.deaths:
                self.deaths += 1
            await rounds(10)
            if life != self.deaths:
                raise RayActorError
        finally:
            self._in_work -= 1
        return [Opaque(bytes([number]), "m") for number in numbers]


@pytest.mark.parametrize("killer", [0, 3, 9])
async def test_what_kills_a_replica_ends_alone_and_all_that_died_with_it_are_answered(killer: int) -> None:
    client = Mortal({killer})
    outcomes = await client("m", requests(10))
    expected: list[Outcome] = [Opaque(bytes([number]), "m") for number in range(10)]
    assert [type(outcome) for outcome in outcomes if outcome not in expected] == [ModelCrashed]
    assert isinstance(outcomes[killer], ModelCrashed)
    assert client.deaths == 3


async def test_a_request_that_kills_replicas_does_not_take_those_of_other_calls_with_it() -> None:
    client = Mortal({3})
    outcomes = await asyncio.gather(*(client("m", [one]) for one in requests(10)))
    assert [number for number, [outcome] in enumerate(outcomes) if isinstance(outcome, ModelCrashed)] == [3]
    assert all(isinstance(outcome, Opaque) for number, [outcome] in enumerate(outcomes) if number != 3)


async def test_a_request_that_is_alone_is_given_up_after_two_replicas() -> None:
    client = Mortal({0})
    assert [type(outcome) for outcome in await client("m", requests(1))] == [ModelCrashed]
    assert client.deaths == 2


async def test_several_that_kill_replicas_are_found_out_one_by_one() -> None:
    client = Mortal({2, 5})
    outcomes = await client("m", requests(8))
    assert [number for number, outcome in enumerate(outcomes) if isinstance(outcome, ModelCrashed)] == [2, 5]
    assert all(isinstance(outcome, Opaque) for number, outcome in enumerate(outcomes) if number not in (2, 5))


class DiesOnce(Calls):
    """A model whose replica dies under the first call. Calls then wait until `may_answer`, but that of `slow`
    for ever."""

    def __init__(self, slow: int | None = None) -> None:
        super().__init__()
        self.slow = slow
        self.may_answer = asyncio.Event()
        self.died = asyncio.Event()
        self.deadlines_s: list[float] = []

    async def answer(self, requests: Sequence[Request]) -> list[Outcome]:
        [*outcomes] = await super().answer(requests)
        self.deadlines_s = [one.deadline_s for one in requests]
        if len(self.sent) == 1:
            await asyncio.sleep(0.05)
            self.died.set()
            raise RayActorError
        await self.may_answer.wait()
        if Opaque(bytes([self.slow or 0]), "m") in outcomes and self.slow is not None:
            await asyncio.Event().wait()
        return outcomes


async def test_after_a_death_the_rest_are_asked_beside_each_other_but_not_all_at_once() -> None:
    client = DiesOnce()
    asking = asyncio.create_task(client("m", requests(16)))
    async with asyncio.timeout(5):
        await client.died.wait()
    await rounds(100)
    assert client.sent == [list(range(16)), *([number] for number in range(ATTEMPTS_AT_ONCE))]
    client.may_answer.set()
    assert await asking == [Opaque(bytes([number]), "m") for number in range(16)]


async def test_after_a_death_the_time_that_is_left_is_told() -> None:
    client = DiesOnce()
    client.may_answer.set()
    await client("m", requests(4, deadline_s=5.0))
    assert all(4 < deadline_s <= 4.95 for deadline_s in client.deadlines_s)


@pytest.mark.parametrize("is_together", [True, False])
async def test_those_that_were_answered_after_a_death_keep_their_answers_when_the_time_is_over(
    is_together: bool,
) -> None:
    client = DiesOnce(slow=1)
    client.may_answer.set()
    asked = requests(3, deadline_s=0.5)
    if is_together:
        outcomes = await client("m", asked)
    else:
        outcomes = [outcome for [outcome] in await asyncio.gather(*(client("m", [one]) for one in asked))]
    assert [type(outcome) for outcome in outcomes] == [Opaque, DeadlineExceeded, Opaque]
