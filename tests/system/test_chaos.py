"""500 jobs through seeded kills of the bridge, the model's replica and Valkey in the running system: every id is
accounted for, and what a client sees twice is counted.
"""

import base64
import json
import logging
import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
import redis
import yaml

from tests.support.waiting import wait_for
from tests.system.conftest import RunningSystem
from tests.system.parts import SECOND, valkey_process

pytestmark = [pytest.mark.slow, pytest.mark.beside_others]

JOBS = 500
SEED = 20261124
KILLS = ("bridge", "model", "valkey", "bridge", "model")
QUEUE = "image_queue_chaos"
WITHIN_S = 240
_COLUMNS = 25


def size_px(number: int) -> tuple[int, int]:
    """Height and width of a job's picture: another one for each, so that no job can get another's answer."""
    return 20 + number // _COLUMNS, 20 + number % _COLUMNS


def text_of(number: int) -> str:
    height, width = size_px(number)
    image = base64.b64encode(bytes(height * width * 3)).decode()
    return json.dumps({"id": f"chaos-{number}", "image": image, "height": height, "width": width})


class Clients:
    """Everybody who has jobs in the queue: patient, since Redis may be away, and deleting what they have read."""

    def __init__(self, port: int) -> None:
        self.answers: dict[str, Any] = {}
        self.seen: Counter[str] = Counter()
        self._store = redis.Redis(port=port, socket_timeout=5)
        self._is_over = threading.Event()
        self._reading = threading.Thread(target=self._read)

    def __enter__(self) -> "Clients":
        self._reading.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._is_over.set()
        self._reading.join(30)
        self._store.close()

    def push(self, number: int) -> None:
        self._patiently(lambda: self._store.rpush(QUEUE, text_of(number)))

    def in_flight(self) -> int:
        found: list[bytes] = self._patiently(lambda: list(self._store.scan_iter(f"{QUEUE}:inflight:*", count=1000)))
        return len(found)

    def _read(self) -> None:
        keys = [f"chaos-{number}" for number in range(JOBS)]
        while not self._is_over.wait(0.02):
            texts: list[bytes | None] = self._patiently(lambda: self._store.mget(keys))
            found = [(key, text) for key, text in zip(keys, texts, strict=True) if text is not None]
            if found:
                self._patiently(lambda found=found: self._store.delete(*(key for key, _ in found)))
            for key, text in found:
                self.seen[key] += 1
                self.answers[key] = json.loads(text)

    def _patiently(self, command: Callable[[], Any]) -> Any:
        return wait_for(lambda: _unless_away(command), 60, "Redis back")[0]


def _unless_away(command: Callable[[], Any]) -> list[Any]:
    try:
        return [command()]
    except redis.RedisError:
        return []


def kill(system: RunningSystem, victim: str) -> None:
    """SIGKILL, and waits until somebody else is in its place."""
    if victim == "valkey":
        dead = valkey_process(system)
        dead.kill()
        wait_for(lambda: _unless_away(system.redis.ping), 60, "Valkey back")
        return
    application = "chaos" if victim == "model" else victim
    [replica] = wait_for(lambda: system.replicas()[application], 60, f"a replica of {application}")
    os.kill(replica["pid"], signal.SIGKILL)
    wait_for(lambda: not psutil.pid_exists(replica["pid"]), 30, "its death")

    def is_back() -> bool:
        return any(one["pid"] != replica["pid"] for one in system.replicas()[application])

    wait_for(is_back, 120, f"another replica of {application}")


def test_five_hundred_jobs_survive_kills_of_bridge_model_and_valkey(
    system: RunningSystem, tmp_path: Path, record_testsuite_property: Callable[[str, object], None]
) -> None:
    chaos: dict[str, Any] = json.loads(json.dumps(SECOND))
    chaos["name"] = "chaos"
    chaos["args"] |= {"queues": [QUEUE], "largest_batch": 4, "parameters": {"delay_ms": 40}}
    chaos["deployments"][0]["autoscaling_config"] |= {"min_replicas": 1}
    block = tmp_path / "chaos.yaml"
    block.write_text(yaml.safe_dump(chaos))
    system.launch("add", str(block))
    chance = random.Random(SEED)
    victims = chance.sample(KILLS, len(KILLS))
    started_s, hit, threshold = time.monotonic(), 0, 0
    with Clients(int(system.environ["FATHOM_REDIS_PORT"])) as clients:
        for number in range(JOBS):
            clients.push(number)
        for victim in victims:
            threshold += chance.randint(10, JOBS // len(KILLS) - 10)
            wait_for(lambda enough=threshold: len(clients.answers) >= enough, 120, f"{threshold} answers")
            hit += clients.in_flight()
            kill(system, victim)
        wait_for(lambda: len(clients.answers) == JOBS, 120, "all answers")
        wait_for(lambda: clients.in_flight() == 0, 60, "no job left in a slot")
        took_s = time.monotonic() - started_s
    wrong = {key: answer for key, answer in clients.answers.items() if not isinstance(answer, list)}
    assert not wrong
    for number in range(JOBS):
        height, width = size_px(number)
        boxes = [row["bbox"] for row in clients.answers[f"chaos-{number}"]]
        assert max(box[2] for box in boxes) == pytest.approx(0.9 * width)
        assert max(box[3] for box in boxes) == pytest.approx(0.9 * height)
    again = clients.seen.total() - JOBS
    record_testsuite_property("system chaos: jobs in flight at a kill", hit)
    record_testsuite_property("system chaos: answers seen again", again)
    logging.getLogger(__name__).info("%d jobs were in flight at kills, %d answers were seen again", hit, again)
    assert hit >= len(KILLS)
    assert again <= hit
    assert took_s < WITHIN_S
    system.launch("remove", "chaos")
