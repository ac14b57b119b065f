"""Ready says within ten seconds that a request would not be answered, why, and that it would again."""

import contextlib
import os
import signal
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.waiting import wait_for
from tests.system.conftest import RunningSystem

pytestmark = pytest.mark.slow

NOTICED_S = 12.0
"""Ten seconds for the system, two for a machine that does other things."""


def readiness(system: RunningSystem) -> dict[str, Any]:
    answer = system.http.get("/health/ready")
    body: dict[str, Any] = answer.json()
    assert answer.status_code == (503 if body["reasons"] else 200)
    return body


def wait_for_reason(system: RunningSystem, words: str) -> None:
    wait_for(lambda: words in str(readiness(system)["reasons"]), NOTICED_S, f"the reason {words!r}")


@contextlib.contextmanager
def frozen(pid: int) -> Iterator[None]:
    """The process stands still, as one does whose disk or memory hangs."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def test_ready_knows_whether_redis_takes_jobs_and_which_model_hangs(system: RunningSystem) -> None:
    wait_for(lambda: not readiness(system)["reasons"], 60, "ready")
    system.redis.config_set("maxmemory", 1)
    try:
        wait_for_reason(system, "Redis is full")
    finally:
        system.redis.config_set("maxmemory", 0)
    wait_for(lambda: not readiness(system)["reasons"], NOTICED_S, "ready after Redis was full")
    [bridge] = system.replicas()["bridge"]
    with frozen(bridge["pid"]):
        wait_for_reason(system, "the application bridge has not answered")
    wait_for(lambda: not readiness(system)["reasons"], 60, "ready after the bridge hung")
    [model] = system.replicas()["benthic-demo"]
    with frozen(model["pid"]):
        wait_for_reason(system, "does not answer: none of its replicas")
        assert system.http.get("/health/live").status_code == 200
    wait_for(lambda: not readiness(system)["reasons"], 60, "ready after the model hung")
