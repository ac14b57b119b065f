"""What a door asks together goes to the model in one call; each request keeps its own outcome."""

import asyncio
from collections.abc import Sequence

import numpy as np
import pytest
from ray.exceptions import RayActorError
from ray.serve.handle import DeploymentHandle

from deployments.client import BY_REFERENCE_FROM_BYTES, ModelClient
from deployments.coalescing import MAX_REQUESTS_A_CALL
from deployments.errors import DeadlineExceeded, InternalError, ModelCrashed, ModelUnavailable, ServingError
from deployments.prediction import Opaque, Outcome
from deployments.request import Image, Request


def requests(count: int, size_bytes: int = 4, deadline_s: float = 5.0) -> list[Request]:
    """Images whose first byte is their number."""
    images = [np.full(size_bytes, number, np.uint8) for number in range(count)]
    return [Request(Image(encoded=image), deadline_s=deadline_s) for image in images]


class Calls(ModelClient):
    """The client with the remote call itself in a test's hands. error: raised by every call.
    killer: the number of an image that kills its replica."""

    def __init__(self, error: Exception | None = None, killer: int | None = None) -> None:
        super().__init__()
        self.error = error
        self.killer = killer
        self.sent: list[list[int]] = []

    async def _handle(self, model: str) -> DeploymentHandle:
        return DeploymentHandle(model, "test")

    async def _call(self, handle: DeploymentHandle, requests: Sequence[Request]) -> list[Outcome]:
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


class Silent(Calls):
    """A model that never answers."""

    async def _call(self, handle: DeploymentHandle, requests: Sequence[Request]) -> list[Outcome]:
        await asyncio.Event().wait()
        return []


async def test_a_shared_call_is_over_at_the_first_deadline() -> None:
    outcomes = await Silent()("m", [*requests(1, deadline_s=0.05), *requests(1, deadline_s=5.0)])
    assert [type(outcome) for outcome in outcomes] == [DeadlineExceeded, DeadlineExceeded]
