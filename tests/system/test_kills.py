"""Each process of a running system is killed in turn, with fifty jobs and twenty requests in flight: somebody
notices, the system is right again, and no job is lost. Each kill prints what it cost.

The model takes its time and loads no TensorFlow. Where the system heals the next kill meets the same one; where
it ends, as it should, it is started again on the same folder, as its user would do. The raylet and the
launcher: test_watching. Others that end it take a minute each: `make test-scaling`.
"""

import base64
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
import redis
import yaml

from serve_app.launcher.processes.process_tree import lives
from tests.support.waiting import wait_for
from tests.system.conftest import SAMPLES, START_S, STOP_S, environment_for
from tests.system.launched import Launched, document, in_flight, launch, launched, model

pytestmark = [pytest.mark.slow, pytest.mark.timeout(START_S + STOP_S + 120)]

JOBS = 50
REQUESTS = 20
QUEUE = "image_queue_kills"
FRAME = (SAMPLES / "seafloor-1.png").read_bytes()
NOTICED_WITHIN_S = 15.0
RIGHT_WITHIN_S = 90.0
ANSWER_S = 60.0

SLOW: dict[str, Any] = {"queues": [QUEUE], "largest_batch": 4, "required": True, "parameters": {"delay_ms": 200}}


@dataclass(frozen=True)
class Victim:
    """What is killed. words: of its command line.  ends: whether the system cannot go on without it."""

    name: str
    words: str
    ends: bool = False


VICTIMS = [
    pytest.param(one, id=one.name, marks=pytest.mark.scaling if one.ends else ())
    for one in (
        Victim("model", "ray::ServeReplica:patient:"),
        Victim("bridge", "ray::ServeReplica:bridge:"),
        Victim("door", "ray::ServeReplica:api:"),
        Victim("valkey", "valkey-server"),
        Victim("haproxy", "bin/haproxy"),
        Victim("manager of haproxy", "ray::HAProxyManager"),
        Victim("controller", "ray::ServeController"),
        Victim("gcs", "gcs/gcs_server", ends=True),
        Victim("agent", "ray::DashboardAgent", ends=True),
    )
]


class House:
    """One system after the other, in the same folder and on the same ports."""

    def __init__(self, folder: Path) -> None:
        self.environ = environment_for(folder)
        port = int(self.environ["FATHOM_HTTP_PORT"])
        self.url = f"http://127.0.0.1:{port}"
        self.config = folder / "system.yaml"
        system = document(port, model("patient", **SLOW))
        system["applications"] += [
            {"name": "bridge", "import_path": "redis_bridge.app:build", "route_prefix": None},
            {"name": "valkey", "import_path": "redis_bridge.embedded:build", "route_prefix": None},
        ]
        self.config.write_text(yaml.safe_dump(system))
        self.store = redis.Redis(port=int(self.environ["FATHOM_REDIS_PORT"]), socket_timeout=5)
        self._runs = 0
        self._folder = folder
        self._open = ExitStack()
        self.run: Launched | None = None

    def up(self) -> Launched:
        """The running system, started when there is none."""
        if self.run is None or self.run.process.poll() is not None:
            self._runs += 1
            log = self._folder / f"terminal-{self._runs}"
            self.run = self._open.enter_context(launched(launch("serve", str(self.config)), self.environ, log))
            self.run.wait_for_words("Ctrl-C", START_S)
        return self.run

    def find(self, victim: Victim) -> psutil.Process | None:
        """The living process of this kind, if there is one."""
        assert self.run is not None
        for process in psutil.Process(self.run.process.pid).children(recursive=True):
            try:
                if victim.words in " ".join(process.cmdline()) and process.status() != psutil.STATUS_ZOMBIE:
                    return process
            except psutil.Error:
                continue
        return None

    def is_ready(self) -> bool:
        """Whether the system itself says that it can answer."""
        try:
            return httpx.get(f"{self.url}/health/ready", timeout=2, trust_env=False).status_code == 200
        except httpx.HTTPError:
            return False

    def answers_both_doors(self) -> bool:
        """Whether a request and a job that come now are answered."""
        job_id = f"probe-{time.monotonic_ns()}"
        try:
            if post(self.url, 5).status_code != 200:
                return False
            self.store.rpush(QUEUE, job_text(job_id))
            ends_at_s = time.monotonic() + 5
            while time.monotonic() < ends_at_s:
                if self.store.get(job_id) is not None:
                    return True
                threading.Event().wait(0.05)
        except (httpx.HTTPError, redis.RedisError):
            pass
        return False

    def close(self) -> None:
        """Stops what still runs, in order."""
        if self.run is not None and self.run.process.poll() is None:
            self.run.process.send_signal(signal.SIGINT)
            self.run.process.wait(STOP_S)
        self._open.close()
        self.store.close()


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    house = House(tmp_path_factory.mktemp("kills"))
    yield house
    house.close()


def job_text(job_id: str) -> str:
    image = base64.b64encode(bytes(20 * 30 * 3)).decode()
    return json.dumps({"id": job_id, "image": image, "height": 20, "width": 30})


def post(url: str, timeout_s: float) -> httpx.Response:
    return httpx.post(f"{url}/predictor/", files={"file": FRAME}, timeout=timeout_s, trust_env=False)


@dataclass
class Load:
    """Jobs and requests that are in flight when somebody dies."""

    house: House
    ids: list[str] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    """0 for a connection that was cut."""
    _threads: list[threading.Thread] = field(default_factory=list)

    def start(self) -> None:
        """Until as many are in flight as there can be."""
        begun = time.monotonic_ns()
        self.ids = [f"kill-{begun}-{number}" for number in range(JOBS)]
        self.house.store.rpush(QUEUE, *map(job_text, self.ids))
        wait_for(lambda: list(self.house.store.scan_iter(f"{QUEUE}:inflight:*")), what="jobs in flight")
        self._threads = [threading.Thread(target=self._ask) for _ in range(REQUESTS)]
        for thread in self._threads:
            thread.start()
        wait_for(lambda: in_flight(self.house.url) + len(self.statuses) >= REQUESTS, what="requests in flight")

    def _ask(self) -> None:
        try:
            self.statuses.append(post(self.house.url, ANSWER_S).status_code)
        except httpx.HTTPError:
            self.statuses.append(0)

    def requests_lost(self) -> int:
        """How many got no answer; none waits for ever."""
        for thread in self._threads:
            thread.join(ANSWER_S + 10)
        assert len(self.statuses) == REQUESTS
        assert set(self.statuses) <= {200, 0, 429, 500, 502, 503, 504}, self.statuses
        return sum(status != 200 for status in self.statuses)

    def jobs_lost(self) -> int:
        """How many have no answer, or a wrong one."""
        wait_for(self._all_answered, 60, "the answers of all jobs")
        answers = [json.loads(text) for text in self.house.store.mget(self.ids) if text is not None]
        right = [isinstance(answer, list) and len(answer) == 2 for answer in answers]
        assert all(right), answers
        return JOBS - len(answers)

    def _all_answered(self) -> bool:
        try:
            return None not in self.house.store.mget(self.ids)
        except redis.RedisError:
            return False


def seconds_until(condition: Callable[[], Any], since_s: float, within_s: float, what: str) -> float:
    wait_for(condition, within_s - (time.monotonic() - since_s), what)
    return time.monotonic() - since_s


@pytest.mark.parametrize("victim", VICTIMS)
def test_a_death_is_noticed_and_no_job_is_lost(
    house: House, victim: Victim, capsys: pytest.CaptureFixture[str], record_property: Callable[[str, object], None]
) -> None:
    run = house.up()
    wait_for(house.answers_both_doors, 60, "a system that answers")
    load = Load(house)
    load.start()
    dead = house.find(victim)
    assert dead is not None
    os.kill(dead.pid, signal.SIGKILL)
    died_at_s = time.monotonic()

    def is_noticed() -> bool:
        if run.process.poll() is not None or victim.name in run.said().partition("Ctrl-C")[2]:
            return True
        other = None if victim.ends else house.find(victim)
        return (other is not None and other.pid != dead.pid) or not house.is_ready()

    noticed_s = seconds_until(is_noticed, died_at_s, NOTICED_WITHIN_S, f"somebody notices the death of {victim.name}")
    if victim.ends:
        expected = -signal.SIGKILL if victim.name == "launcher" else 1
        assert run.process.wait(STOP_S) == expected, run.said()
        wait_for(lambda: not any(map(lives, run.seen)), STOP_S, "the end of what was left")
        house.up()

    def is_right() -> bool:
        other = house.find(victim)
        return other is not None and other.pid != dead.pid and house.is_ready() and house.answers_both_doors()

    right_s = seconds_until(is_right, died_at_s, RIGHT_WITHIN_S, f"the system is right without the old {victim.name}")
    jobs_lost, requests_lost = load.jobs_lost(), load.requests_lost()
    told = (
        f"{victim.name:20} noticed {noticed_s:5.1f} s   right again {right_s:5.1f} s   "
        f"jobs lost {jobs_lost}   requests lost {requests_lost} of {REQUESTS}"
    )
    record_property("told", told)
    with capsys.disabled():
        sys.stdout.write(f"\n{told}")
    assert jobs_lost == 0
