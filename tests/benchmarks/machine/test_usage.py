"""CPU and memory are charged to whoever used them."""

import sys
from pathlib import Path

import pytest

from benchmarks.machine.started import Started
from benchmarks.machine.usage import cpu_by_role, role_of


@pytest.mark.parametrize(
    ("command", "role"),
    [
        ("ray::ServeReplica:api:Door", "door"),
        ("ray::ServeReplica:m1:Model", "model"),
        ("ray::ServeReplica:default:Detector", "model"),
        ("ray::ServeReplica:bridge:Bridge", "bridge"),
        ("ray::ServeController", "controller"),
        ("ray::ProxyActor", "proxy"),
        ("python -m uvicorn app --workers 2", "server"),
        ("python -m benchmarks.systems.plain_serve_main hello /tmp/ray", "launcher"),
        ("python -m benchmarks.systems.legacy_worker", "worker"),
        ("valkey-server 127.0.0.1:6379", "valkey"),
        ("sleep 5", "other"),
    ],
)
def test_processes_are_known_by_their_role(command: str, role: str) -> None:
    assert role_of(command.split()) == role


BURNS = "import time\nwhile time.process_time() < 0.3: pass\nprint('burnt', flush=True)\ntime.sleep(60)"


def test_cpu_and_memory_are_charged_to_the_process(tmp_path: Path) -> None:
    before = Started("idle", [sys.executable, "-c", "import time; time.sleep(60)"], tmp_path, {})
    started = Started("busy", [sys.executable, "-c", BURNS], tmp_path, {})
    try:
        first = started.usage()
        started.wait_until(lambda: "burnt" in started.last_words(), 20.0)
        spent = cpu_by_role(first, started.usage())
        assert 0.2 <= sum(spent.values()) < 2.0
        assert started.usage().peak_bytes > 5 * 2**20
    finally:
        started.stop()
        before.stop()
