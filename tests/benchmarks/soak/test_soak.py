"""A whole soak of some seconds: real HTTP, a real Valkey, and a worker that answers jobs."""

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import psutil
import pytest

from benchmarks.machine.started import Started
from benchmarks.models import bench_model
from benchmarks.soak import soak as soaking
from benchmarks.soak.accounts import OK, Accounts
from benchmarks.soak.load import Clients, Doors
from benchmarks.soak.soak import SLEEPER, STEADY_QUEUE, Plan, soak
from benchmarks.systems import floor_worker
from benchmarks.systems.contract import QUEUE, REDIS, Workspace, python, server_environment
from benchmarks.systems.valkey import start_valkey
from deployments.serving.batching.micro_batcher import BATCHES_AT_ONCE
from tests.benchmarks.command_lines import ROOT


class Door(BaseHTTPRequestHandler):
    """Answers uploads with its status, and lists a model that sleeps."""

    protocol_version = "HTTP/1.1"
    status = 200

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self._answer(self.status, {"title": "overloaded"})

    def do_GET(self) -> None:
        self._answer(200, {"models": [{"name": SLEEPER, "state": "asleep"}]})

    def log_message(self, *_: object) -> None:
        """Nothing on the terminal."""

    def _answer(self, status: int, content: object) -> None:
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def door(status: int = 200) -> Iterator[str]:
    """A server; its URL."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("DoorWithStatus", (Door,), {"status": status}))
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def redis_url(tmp_path: Path) -> Iterator[str]:
    """A server with a worker on the busy model's queue."""
    workspace = Workspace(tmp_path, tmp_path, ROOT / "configs" / "app.yaml")
    url, valkey = start_valkey(workspace, is_persistent=False)
    environ = {**server_environment(bench_model("m0", {})), REDIS: url, QUEUE: STEADY_QUEUE}
    worker = Started("floor", python("-m", "benchmarks.systems.floor_worker"), tmp_path, environ)
    try:
        worker.wait_until(lambda: floor_worker.READY in worker.last_words(), 30.0)
        yield url
    finally:
        worker.stop()
        valkey.stop()


class Site:
    """A system of which nothing can be killed."""

    replicas = 1

    def __init__(self, doors: Doors) -> None:
        self.doors = doors

    def processes(self) -> list[psutil.Process]:
        return [psutil.Process(os.getpid())]

    def kill(self, number: int) -> str:
        return f"killed nothing, number {number}"


async def test_a_soak_counts_all_that_was_asked(redis_url: str) -> None:
    said: list[str] = []
    with door() as url:
        found = await soak(Site(Doors([url], redis_url)), Plan(minutes=2 / 60), said.append)
    accounts = found.accounts
    due = 2 * soaking.LOAD * BATCHES_AT_ONCE / soaking.SECONDS_AN_IMAGE / 2
    assert accounts.jobs == pytest.approx(due, abs=2)
    assert accounts.requests == pytest.approx(due + 1, abs=2), "and one that woke the model"
    assert (accounts.failed, accounts.lost, accounts.answered) == (0, 0, accounts.jobs)
    assert (found.wakes, found.still_awake) == (1, 0)
    assert found.kills == ["killed nothing, number 0", "killed nothing, number 1"]
    assert set(found.kills) < set(said)


async def test_a_job_that_nobody_answers_is_lost_after_the_patience(
    redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(soaking, "ANSWERS_WITHIN_S", 0.1)
    monkeypatch.setattr(soaking, "STEADY_QUEUE", "nobody")
    with door() as url:
        found = await soak(Site(Doors([url], redis_url)), Plan(minutes=0.5 / 60, kills=0), lambda line: None)
    assert found.accounts.lost == found.accounts.jobs > 0


async def test_what_one_node_does_not_answer_another_does(redis_url: str) -> None:
    with door(503) as sick, door() as well:
        gone = "http://127.0.0.1:9"
        async with Clients(Doors([sick, well], redis_url), accounts := Accounts()) as clients:
            await clients.ask("m")
            assert (accounts.hidden, accounts.failed) == (1, 0)
            await clients.ask("m")
            assert (accounts.hidden, accounts.outcomes) == (1, {OK: 2})
        async with Clients(Doors([gone, sick], redis_url), accounts := Accounts()) as clients:
            await clients.ask("m")
            await clients.ask("m")
            assert accounts.outcomes == {"503 overloaded": 1, "ConnectError": 1}
            assert await clients.states() == {SLEEPER: "asleep"}
