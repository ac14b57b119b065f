"""Vectors by Serve handle, over a handle that behaves as Ray Serve's does."""

import asyncio
from typing import Any

import numpy as np
import pytest
from ray.exceptions import RayActorError

from deployments.client import gateway, vector_client
from deployments.client.vector_client import VectorClient
from deployments.errors import DeadlineExceeded, InternalError, InvalidRequest, ModelUnavailable
from deployments.vectors import LabelledVectors, Neighbour, Project, Source

SOURCE = Source("vit", "1", 3)
ROWS = np.eye(3, dtype=np.float32)


class Bridge:
    """A DeploymentHandle of the bridge. answer: what each call ends in; None for never."""

    def __init__(self, answer: Any) -> None:
        self.answer = answer
        self.calls: list[tuple[Any, ...]] = []
        self.cancelled = 0

    @property
    def vectors(self) -> "Bridge":
        return self

    def remote(self, *arguments: Any) -> "Bridge":
        self.calls.append(arguments)
        return self

    def __await__(self) -> Any:
        return self._end().__await__()

    async def _end(self) -> Any:
        if self.answer is None:
            await asyncio.Event().wait()
        if isinstance(self.answer, Exception) and not hasattr(self.answer, "code"):
            raise self.answer
        return self.answer

    def cancel(self) -> None:
        self.cancelled += 1


def client_of(bridge: Bridge) -> VectorClient:
    client = VectorClient("bridge")
    client._gateway._handle = bridge  # type: ignore[assignment]
    return client


async def test_each_method_asks_the_bridge_for_itself() -> None:
    bridge = Bridge("an answer")
    client = client_of(bridge)
    vectors = LabelledVectors([("Crab", "c1")], ROWS[:1])
    answers = [
        await client.projects(),
        await client.project("p"),
        await client.names("p", 100),
        await client.add("p", SOURCE, vectors),
        await client.remove("p", "Crab"),
        await client.search("p", SOURCE, ROWS, 5),
        await client.job("p", "1"),
    ]
    await client.keep_job("p", "1", b"pending", 60.0)
    assert answers == ["an answer"] * 7
    assert bridge.calls == [
        ("projects",),
        ("project", "p"),
        ("names", "p", 100),
        ("add", "p", SOURCE, vectors),
        ("remove", "p", "Crab"),
        ("search", "p", SOURCE, ROWS, 5),
        ("job", "p", "1"),
        ("keep_job", "p", "1", b"pending", 60.0),
    ]


async def test_an_error_of_the_bridge_is_raised() -> None:
    with pytest.raises(InvalidRequest, match="100 neighbours"):
        await client_of(Bridge(InvalidRequest("between 1 and 100 neighbours"))).search("p", SOURCE, ROWS, 0)


async def test_a_bridge_that_dies_or_fails_is_told_without_details() -> None:
    with pytest.raises(ModelUnavailable, match="the way to the vectors was lost; try again"):
        await client_of(Bridge(RayActorError())).projects()
    with pytest.raises(InternalError) as raised:
        await client_of(Bridge(RuntimeError("secret"))).projects()
    assert "secret" not in raised.value.message


async def test_a_bridge_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vector_client, "ANSWERED_WITHIN_S", 0.01)
    bridge = Bridge(None)
    with pytest.raises(DeadlineExceeded, match=r"has not answered within 0\.01 s"):
        await client_of(bridge).projects()
    assert bridge.cancelled == 1


async def test_a_call_that_is_cancelled_is_cancelled_there() -> None:
    bridge = Bridge(None)
    asking = asyncio.create_task(client_of(bridge).projects())
    await asyncio.sleep(0)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert bridge.cancelled == 1


async def test_without_the_bridge_it_is_said_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_such(deployment: str, application: str) -> None:
        raise KeyError(f"no deployment {deployment} in application {application}")

    monkeypatch.setattr(gateway.serve, "get_deployment_handle", no_such)
    with pytest.raises(ModelUnavailable, match="there is no application bridge with a Redis to keep vectors in"):
        await VectorClient("bridge").projects()


def test_what_is_passed_is_small() -> None:
    """Serve's gRPC transport has a limit of 4 MiB: see `deployments.vectors.limits`."""
    import pickle

    from deployments.vectors.limits import MAX_BATCH, MAX_DIMENSION, MAX_NEIGHBOURS

    names = [("x" * 200, str(number) * 100) for number in range(MAX_BATCH)]
    largest = LabelledVectors(names, np.ones((MAX_BATCH, MAX_DIMENSION), np.float32))
    found = [[Neighbour("l" * 200, f"{number:0200d}", 0.5) for number in range(MAX_NEIGHBOURS)]] * MAX_BATCH
    assert len(pickle.dumps(largest)) < 2**20
    assert len(pickle.dumps(found)) < 4 * 2**20
    assert pickle.loads(pickle.dumps(Project("p", SOURCE, 1))) == Project("p", SOURCE, 1)
