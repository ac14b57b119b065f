"""What HAProxy, as Ray runs it, does not let through to the running system."""

import asyncio

import httpx
import pytest

from tests.serve_app.raw_http import ask, get

from .conftest import SAMPLES, RunningSystem

FRAME = SAMPLES / "seafloor-1.png"


@pytest.mark.parametrize("seconds", ["0.001", "0", "\xff"])
def test_a_client_cannot_set_the_time_that_ray_waits(system: RunningSystem, seconds: str) -> None:
    headers = {b"x-request-timeout-seconds": seconds.encode("latin-1")}
    answer = system.http.post("/predictor/", files={"file": FRAME.read_bytes()}, headers=httpx.Headers(headers))
    assert answer.status_code == 200, answer.text


def test_a_large_head_is_named(system: RunningSystem) -> None:
    answer = asyncio.run(ask(int(system.environ["FATHOM_HTTP_PORT"]), get("/health/live", "x: " + "a" * 30_000)))
    assert answer.status == 431
    assert answer.problem["success"] is False


def test_what_the_door_does_not_know_is_its_own_answer(system: RunningSystem) -> None:
    answer = system.http.get("/nothing")
    assert (answer.status_code, answer.headers["content-type"]) == (404, "application/problem+json")
    assert "GET /nothing" in answer.json()["detail"]
