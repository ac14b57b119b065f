"""The WebSocket of a job over a real connection, as fiftyone-sync waits on it."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import websockets
from websockets.exceptions import InvalidStatus

from deployments.errors import ModelUnavailable
from serve_app.access.guard import Access
from serve_app.faces.vss import jobs, waiting
from tests.serve_app.access.guarded import Guarded
from tests.serve_app.faces.vss.embedding_system import RED, EmbeddingSystem, body_of, files
from tests.serve_app.faces.vss.real_face import served

JOB = "6e1b1c2e-3f5a-4a55-9d1a-0d4f3c3b2a10"


@pytest.fixture
async def address(system: EmbeddingSystem, tmp_path: Path) -> AsyncIterator[str]:
    async for found in served(system, tmp_path):
        yield found


@pytest.fixture
async def guarded_address(system: EmbeddingSystem, guarded: Guarded, tmp_path: Path) -> AsyncIterator[str]:
    async for found in served(system, tmp_path, Access(guarded.ring, lambda: 1, guarded.clock)):
        yield found


@pytest.fixture(autouse=True)
def _often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "POLL_INTERVAL_S", 0.01)


async def messages(url: str, until: int = 1000) -> list[dict[str, Any]]:
    """All that are sent before the connection is closed, or the first `until`."""
    found: list[dict[str, Any]] = []
    # As fiftyone-sync connects: the origin is the address itself.
    origin = f"http://{url.split('//')[1].split('@')[-1].split('/')[0]}"
    async with asyncio.timeout(10):
        async with websockets.connect(url, additional_headers={"Origin": origin}, proxy=None) as socket:
            async for text in socket:
                found.append(json.loads(text))
                if len(found) == until:
                    break
    return found


async def submitted(address: str) -> str:
    async with httpx.AsyncClient(trust_env=False) as http:
        job: str = body_of(await http.post(f"http://{address}/embed/vit", files=files(RED)))["job_id"]
        return job


async def test_a_job_that_is_done_is_told_at_once(address: str) -> None:
    told = await messages(f"ws://{address}/ws/predict/job/{await submitted(address)}/vit")
    result = {"filenames": ["image-0.png"], "embeddings": [[200.0, 10.0, 10.0]]}
    assert told == [{"status": "done", "result": result}]


async def test_a_slow_job_is_pending_and_then_done(
    address: str, system: EmbeddingSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "EARLY_S", 0.01)
    system.gate = asyncio.Event()
    url = f"ws://{address}/ws/predict/job/{await submitted(address)}/vit"
    assert await messages(url, until=3) == [{"status": "pending"}] * 3
    system.gate.set()
    assert (await messages(url))[-1]["status"] == "done"


async def test_what_is_not_there_is_an_error(address: str) -> None:
    for path, says in (
        (f"{JOB}/vit", f"Job ID {JOB} does not exist in project vit, or has expired"),
        ("x/vit", "Job ID x does not exist in project vit, or has expired"),
        (f"{JOB}/%20vit", "project must be 1 to 100 printable characters without spaces around them, got ' vit'"),
    ):
        told = await messages(f"ws://{address}/ws/predict/job/{path}")
        assert told == [{"status": "error", "message": says}]


async def test_a_redis_that_is_away_is_an_error(address: str, system: EmbeddingSystem) -> None:
    system.kept.fails_with = ModelUnavailable("Redis does not answer")
    told = await messages(f"ws://{address}/ws/predict/job/{JOB}/vit")
    assert told == [{"status": "error", "message": "Redis does not answer"}]


async def test_nobody_waits_for_ever(address: str, system: EmbeddingSystem, monkeypatch: pytest.MonkeyPatch) -> None:
    await system.kept.keep_job("vit", JOB, b'{"status":"pending"}\n', 60)
    monkeypatch.setattr(waiting, "JOB_TIME_S", 0.05)
    told = await messages(f"ws://{address}/ws/predict/job/{JOB}/vit")
    assert told[-1] == {"status": "error", "message": "Timed out waiting for job"}


async def test_no_more_wait_than_the_limit(
    address: str, system: EmbeddingSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    await system.kept.keep_job("vit", JOB, b'{"status":"pending"}\n', 60)
    monkeypatch.setattr(waiting, "MAX_WAITING", 1)
    url = f"ws://{address}/ws/predict/job/{JOB}/vit"
    async with websockets.connect(url, proxy=None) as first:
        assert json.loads(await first.recv()) == {"status": "pending"}
        [refused] = await messages(url)
        assert refused["message"].startswith("1 clients wait for jobs already, which is the limit")
    # A client that has gone makes room for the next one.
    async with asyncio.timeout(10):
        while (await messages(url, until=1))[0]["status"] == "error":
            pass


async def test_a_client_that_sends_something_is_told_and_its_connection_closed(
    address: str, system: EmbeddingSystem
) -> None:
    await system.kept.keep_job("vit", JOB, b'{"status":"pending"}\n', 60)
    url = f"ws://{address}/ws/predict/job/{JOB}/vit"
    async with asyncio.timeout(10), websockets.connect(url, proxy=None) as socket:
        await socket.send("are you there?")
        told = [json.loads(text) async for text in socket]
    assert told[-1] == {"status": "error", "message": "nothing is to be sent on this WebSocket"}


async def test_where_keys_are_asked_for_a_websocket_needs_one(guarded_address: str, guarded: Guarded) -> None:
    path = f"{guarded_address}/ws/predict/job/{JOB}/vit"
    for keyless in (f"ws://{path}", f"ws://lab:{guarded.wrong}@{path}", f"ws://lab:{guarded.metrics}@{path}"):
        with pytest.raises(InvalidStatus, match="HTTP 403"):
            await messages(keyless)
    for shown in (f"ws://lab:{guarded.predict}@{path}", f"ws://{path}?api_key={guarded.predict}"):
        [told] = await messages(shown)
        assert told["status"] == "error"
        assert "does not exist" in told["message"]


async def test_there_is_no_other_websocket(guarded_address: str, guarded: Guarded) -> None:
    host = guarded_address.removesuffix("/vss")
    for path in ("/v1/models", "/vss/health", "/nothing", "/vss/ws/predict/job/1"):
        with pytest.raises(InvalidStatus, match="HTTP 403"):
            await messages(f"ws://lab:{guarded.admin}@{host}{path}")
