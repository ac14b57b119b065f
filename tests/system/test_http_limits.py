"""What HAProxy, as Ray runs it, does not let through to the running system."""

import asyncio
import socket
from contextlib import ExitStack

import httpx
import pytest

from tests.support.raw_http import ask, get
from tests.system.conftest import SAMPLES, RunningSystem

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


def test_stalled_uploads_of_one_client_take_no_place_from_others(system: RunningSystem) -> None:
    port = int(system.environ["FATHOM_HTTP_PORT"])
    head = b"POST /predictor/ HTTP/1.1\r\nHost: a\r\nContent-Type: multipart/form-data; boundary=x\r\n"
    with ExitStack() as stack:
        for _ in range(400):
            stalled = socket.create_connection(("127.0.0.1", port), 10, source_address=("127.0.0.2", 0))
            stack.enter_context(stalled)
            stalled.sendall(head + b"Content-Length: 60000000\r\n\r\n--x")
        assert system.http.get("/health/live", timeout=2).status_code == 200
        frame = {"file": FRAME.read_bytes()}
        assert system.http.post("/predictor/", files=frame, timeout=5).status_code == 200
