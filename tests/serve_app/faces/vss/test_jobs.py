"""Jobs that take longer than a client waits, whichever door is asked for them."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from deployments.errors import InvalidRequest, ModelUnavailable
from serve_app.faces.vss import jobs
from tests.serve_app.access.guarded import Guarded
from tests.serve_app.faces.vss.embedding_system import (
    BLUE,
    PROJECT,
    RED,
    EmbeddingSystem,
    body_of,
    done,
    embedding_system,
    error_in,
    files,
)


async def told_of(client: httpx.AsyncClient, job: str) -> dict[str, object]:
    told: dict[str, object] = body_of(await client.get(f"/vss/predict/job/{job}/vit"))
    return told


async def ended(client: httpx.AsyncClient, job: str) -> dict[str, object]:
    """What is told of a job that is not pending any more."""
    async with asyncio.timeout(10):
        while True:
            told = await told_of(client, job)
            if told["status"] != "pending":
                return told
            # Within one process a request may be answered without the others having their turn.
            await asyncio.sleep(0)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch, system: EmbeddingSystem) -> asyncio.Event:
    """Requests are answered at once. What lets the images pass."""
    monkeypatch.setattr(jobs, "EARLY_S", 0.01)
    system.gate = asyncio.Event()
    return system.gate


async def test_a_slow_job_is_pending_until_it_is_done(client: httpx.AsyncClient, impatient: asyncio.Event) -> None:
    job = body_of(await client.post("/vss/embed/vit", files=files(RED)))["job_id"]
    assert await told_of(client, job) == {"status": "pending"}
    impatient.set()
    assert await ended(client, job) == {
        "status": "done",
        "result": {"filenames": ["image-0.png"], "embeddings": [[200.0, 10.0, 10.0]]},
    }


async def test_a_job_that_fails_later_says_why(client: httpx.AsyncClient, impatient: asyncio.Event) -> None:
    job = body_of(await client.post("/vss/embed/vit", files=files(RED, b"no picture")))["job_id"]
    impatient.set()
    failed = {"status": "failed", "message": "image 2: the image is of no format that is read"}
    assert await ended(client, job) == failed


async def test_a_job_has_its_time_and_no_more(
    client: httpx.AsyncClient, impatient: asyncio.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "JOB_TIME_S", 0.05)
    job = body_of(await client.post("/vss/embed/vit", files=files(RED)))["job_id"]
    told = await ended(client, job)
    assert told == {"status": "failed", "message": "the job was ended: it was not done within 0.05 s"}
    assert not impatient.is_set()


async def test_jobs_wait_for_their_turn(client: httpx.AsyncClient, impatient: asyncio.Event) -> None:
    submitted = [body_of(await client.post("/vss/embed/vit", files=files(RED)))["job_id"] for _ in range(5)]
    assert len(set(submitted)) == 5
    impatient.set()
    assert {(await ended(client, job))["status"] for job in submitted} == {"done"}


async def test_what_a_waiting_job_holds_is_held_until_it_ends(
    client: httpx.AsyncClient, impatient: asyncio.Event
) -> None:
    """400,000 bytes may be held, and 200,000 sent at once."""
    large = RED + bytes(180_000)
    submitted = [body_of(await client.post("/vss/embed/vit", files=files(large)))["job_id"] for _ in range(2)]
    assert "over the limit" in error_in(await client.post("/vss/embed/vit", files=files(large)), 429)
    impatient.set()
    for job in submitted:
        await ended(client, job)
    body_of(await client.post("/vss/embed/vit", files=files(large)))


async def test_any_door_can_be_asked_for_a_job(
    client: httpx.AsyncClient, tmp_path: Path, system: EmbeddingSystem, impatient: asyncio.Event
) -> None:
    other_system = embedding_system()
    other_system.vectors = system.vectors
    job = body_of(await client.post("/vss/embed/vit", files=files(RED)))["job_id"]
    other = Guarded(tmp_path, other_system)
    async with other.client() as door:
        door.headers["X-API-Key"] = other.predict
        assert await told_of(door, job) == {"status": "pending"}
        impatient.set()
        assert (await ended(door, job))["status"] == "done"


async def test_a_client_that_goes_away_at_once_ends_its_job(
    client: httpx.AsyncClient, system: EmbeddingSystem
) -> None:
    system.gate, system.waits, system.was_given_up = asyncio.Event(), asyncio.Event(), asyncio.Event()
    asking = asyncio.create_task(client.post("/vss/embed/vit", files=files(RED)))
    async with asyncio.timeout(10):
        await system.waits.wait()
        asking.cancel()
        await system.was_given_up.wait()


@pytest.fixture
def _answers_are_too_large(system: EmbeddingSystem, monkeypatch: pytest.MonkeyPatch) -> None:
    keep = system.kept.keep_job

    async def keep_job(project: str, job: str, payload: bytes, kept_s: float) -> None:
        if b"done" in payload:
            raise InvalidRequest("the answer has 4000000 bytes, the limit is 3145728")
        await keep(project, job, payload, kept_s)

    monkeypatch.setattr(system.kept, "keep_job", keep_job)


@pytest.mark.usefixtures("_answers_are_too_large")
async def test_an_answer_that_cannot_be_kept_is_told_at_once(client: httpx.AsyncClient) -> None:
    assert "the limit is 3145728" in error_in(await client.post("/vss/embed/vit", files=files(RED)), 422)


@pytest.mark.usefixtures("_answers_are_too_large")
async def test_a_slow_job_whose_answer_cannot_be_kept_has_failed(
    client: httpx.AsyncClient, impatient: asyncio.Event
) -> None:
    job = body_of(await client.post("/vss/embed/vit", files=files(RED)))["job_id"]
    impatient.set()
    failed = {"status": "failed", "message": "the answer has 4000000 bytes, the limit is 3145728"}
    assert await ended(client, job) == failed


async def test_a_fault_of_the_server_is_told_without_details(
    client: httpx.AsyncClient, system: EmbeddingSystem, caplog: pytest.LogCaptureFixture
) -> None:
    system.fails_with = RuntimeError("secret")
    answer = await client.post("/vss/embed/vit", files=files(RED))
    assert error_in(answer, 500) == "the server failed on this job"
    assert "secret" in caplog.text


async def test_a_job_that_is_not_there_is_told(client: httpx.AsyncClient) -> None:
    for job in ("1", "x" * 36, "6e1b1c2e-3f5a-4a55-9d1a-0d4f3c3b2a10", "%2e%2e", "*"):
        answer = await client.get(f"/vss/predict/job/{job}/{PROJECT}")
        assert f"does not exist in project {PROJECT}" in error_in(answer, 404), job


async def test_a_job_is_only_told_of_in_its_project(client: httpx.AsyncClient) -> None:
    submitted = await client.post("/vss/embed/vit", files=files(BLUE))
    job = body_of(submitted)["job_id"]
    assert "does not exist in project other" in error_in(await client.get(f"/vss/predict/job/{job}/other"), 404)
    await done(client, submitted, "vit")


async def test_while_redis_is_away_no_job_begins(client: httpx.AsyncClient, system: EmbeddingSystem) -> None:
    system.kept.fails_with = ModelUnavailable("Redis, where the vectors lie, does not answer; try again")
    answer = await client.post("/vss/embed/vit", files=files(RED))
    assert (error_in(answer, 503)[:5], answer.headers["retry-after"]) == ("Redis", "5")
    assert system.asked == []


async def test_a_door_that_stops_waits_for_its_jobs(client: httpx.AsyncClient, impatient: asyncio.Event) -> None:
    job = body_of(await client.post("/vss/embed/vit", files=files(RED)))["job_id"]
    async with stopping(client):
        assert await told_of(client, job) == {"status": "pending"}
        impatient.set()
    assert (await told_of(client, job))["status"] == "done"


async def test_what_has_not_ended_when_its_door_stops_has_failed(
    client: httpx.AsyncClient, impatient: asyncio.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "FINISH_S", 0.05)
    submitted = [body_of(await client.post("/vss/embed/vit", files=files(RED)))["job_id"] for _ in range(4)]
    async with stopping(client):
        pass
    assert not impatient.is_set()
    failed = {"status": "failed", "message": "the job was ended because this part of the server stops; send it again"}
    assert [await told_of(client, job) for job in submitted] == [failed] * 4


@asynccontextmanager
async def stopping(client: httpx.AsyncClient) -> AsyncIterator[None]:
    """Stops the door behind `client`, as its server does; it has stopped at the end."""
    transport = client._transport
    assert isinstance(transport, httpx.ASGITransport)
    events: asyncio.Queue[dict[str, str]] = asyncio.Queue()
    said: asyncio.Queue[dict[str, str]] = asyncio.Queue()
    door: Any = transport.app
    running = asyncio.create_task(door({"type": "lifespan", "state": {}}, events.get, said.put))
    async with asyncio.timeout(10):
        await events.put({"type": "lifespan.startup"})
        assert (await said.get())["type"] == "lifespan.startup.complete"
        await events.put({"type": "lifespan.shutdown"})
        yield
        assert (await said.get())["type"] == "lifespan.shutdown.complete"
        await running
