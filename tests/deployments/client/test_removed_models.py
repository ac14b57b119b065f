"""Who waits for a model when it is removed is told so, and does not wait for a replica that never comes."""

import asyncio

import numpy as np
import pytest
from ray.exceptions import RayActorError
from ray.serve.handle import DeploymentHandle

from deployments.client.call_batching import MAX_REQUESTS_A_CALL
from deployments.client.model_client import ModelClient
from deployments.client.replica_calls import ReplicaCalls
from deployments.errors import DeadlineExceeded, ModelUnavailable
from deployments.prediction import Outcome
from deployments.request import Image, Request


class Silent(ReplicaCalls):
    """A model that never answers. deaths: calls that kill its replica before."""

    def __init__(self, model: str, deaths: int = 0) -> None:
        super().__init__(model)
        self.deaths = deaths
        self.is_asked = asyncio.Event()

    async def handle(self) -> DeploymentHandle:
        return DeploymentHandle(self._model, "test")

    async def _remote(self, handle: DeploymentHandle, requests: list[Request]) -> list[Outcome]:
        if self.deaths:
            self.deaths -= 1
            raise RayActorError
        self.is_asked.set()
        await asyncio.Event().wait()
        return []


def requests(count: int, deadline_s: float = 60.0) -> list[Request]:
    return [Request(Image(encoded=np.zeros(4, np.uint8)), deadline_s=deadline_s) for _ in range(count)]


@pytest.mark.parametrize("count", [1, 2, MAX_REQUESTS_A_CALL + 1])
@pytest.mark.parametrize("deaths", [0, 1])
async def test_who_waits_is_told_at_once(count: int, deaths: int) -> None:
    calls = {"m": Silent("m", deaths), "other": Silent("other")}
    client = ModelClient(calls_of=calls.__getitem__)
    asked = asyncio.create_task(client("m", requests(count)))
    other = asyncio.create_task(client("other", requests(1, deadline_s=0.3)))
    async with asyncio.timeout(5):
        await calls["m"].is_asked.wait()
        await calls["other"].is_asked.wait()
        client.end(["m", "never asked"])
        outcomes = await asked
    assert [type(outcome) for outcome in outcomes] == [ModelUnavailable] * count
    assert {str(outcome) for outcome in outcomes} == {"model m was removed before it answered"}
    assert [type(outcome) for outcome in await other] == [DeadlineExceeded], "others wait on"


async def test_a_model_that_comes_back_is_waited_for_again() -> None:
    client = ModelClient(calls_of=Silent)
    client.end(["m"])
    assert [type(outcome) for outcome in await client("m", requests(1, deadline_s=0.1))] == [DeadlineExceeded]
