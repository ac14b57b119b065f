"""What the launcher notices of a real system: a part that is replaced, a part that is not, and its own death.

A model that answers without TensorFlow; a system of its own for each test.
"""

import os
import signal
import time
import uuid
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
import redis
import yaml

from redis_bridge.server.valkey_process import ValkeyProcess, ValkeySettings
from serve_app.launcher.processes.process_tree import lives
from tests.support.waiting import wait_for
from tests.system.conftest import SAMPLES, START_S, STOP_S, environment_for
from tests.system.launched import Launched, document, launch, launched, model, redis_door
from tests.system.legacy_jobs import job

pytestmark = [pytest.mark.slow, pytest.mark.beside_others, pytest.mark.timeout(START_S + STOP_S + 120)]

NOTICED_S = 15.0
BACK_S = 25.0
QUEUE = "image_queue_watching"
JOBS = 12
STOPS = (signal.SIGHUP, signal.SIGTERM)


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    return environment_for(tmp_path / "data")


@pytest.fixture
def config(tmp_path: Path, environ: dict[str, str]) -> Path:
    slow = model("slow", queues=[QUEUE], largest_batch=1, parameters={"delay_ms": 1000})
    system = document(int(environ["FATHOM_HTTP_PORT"]), slow)
    system["applications"] += redis_door(int(environ["FATHOM_REDIS_PORT"]))
    file = tmp_path / "system.yaml"
    file.write_text(yaml.safe_dump(system))
    return file


def part(run: Launched, name: str) -> psutil.Process:
    """The process of the system that shows as `name`; the youngest, as an old HAProxy may still be draining."""
    found = [one for one in psutil.Process(run.process.pid).children(recursive=True) if one.name() == name]
    return max(found, key=psutil.Process.create_time)


def kill(run: Launched, name: str) -> float:
    """SIGKILL; the seconds until the launcher has told of it."""
    victim = part(run, name)
    victim.kill()
    started_at_s = time.monotonic()
    run.wait_for_words(f"{name} (process {victim.pid}) has died; ", NOTICED_S)
    return time.monotonic() - started_at_s


def test_a_haproxy_is_back_soon_and_a_raylet_is_the_end_with_all_jobs_kept(
    config: Path, environ: dict[str, str], tmp_path: Path
) -> None:
    with launched(launch("serve", str(config)), environ, tmp_path / "terminal") as run:
        run.wait_for_words("Ctrl-C", START_S)
        kill(run, "haproxy")
        run.wait_for_words("haproxy is back (process ", BACK_S)
        live = f"http://127.0.0.1:{environ['FATHOM_HTTP_PORT']}/health/live"
        wait_for(lambda: answers(live), BACK_S, "the HTTP door")

        names = jobs_in_flight(environ)
        run.wait_for_words("starting", 1)
        kill(run, "raylet")
        assert run.process.wait(STOP_S) == 1, run.said()
        assert "stopping what is left: jobs stay in Redis" in run.said()
        assert run.left_behind() == []
    assert sorted(kept(tmp_path / "data" / "valkey", environ, names)) == sorted(names)


def answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=5, trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False


def jobs_in_flight(environ: dict[str, str]) -> list[str]:
    """Pushes some, and waits until the bridge has taken one; their names."""
    names = [str(uuid.uuid4()) for _ in range(JOBS)]
    with redis.Redis(port=int(environ["FATHOM_REDIS_PORT"])) as store:
        for name in names:
            store.rpush(QUEUE, job(SAMPLES / "seafloor-1.png", name))
        wait_for(lambda: slots(store), 30, "jobs in flight")
    return names


def slots(store: "redis.Redis[bytes]") -> list[bytes]:
    return list(store.scan_iter(f"{QUEUE}:inflight:*"))


def kept(folder: Path, environ: dict[str, str], names: list[str]) -> list[str]:
    """Of `names`, the jobs that are answered, in a slot or in their queue, as Valkey has them on its disk."""
    server = ValkeyProcess(ValkeySettings(int(environ["FATHOM_REDIS_PORT"]), folder))
    assert server.start(), "it was stopped with the system"
    try:
        with redis.Redis(port=int(environ["FATHOM_REDIS_PORT"])) as store:
            texts: list[Any] = store.lrange(QUEUE, 0, -1)
            for slot in slots(store):
                texts += store.lrange(slot, 0, -1)
            waiting = b"".join(texts).decode()
            return [name for name in names if store.exists(name) or f'"{name}"' in waiting]
    finally:
        server.stop()


def blocks_a_stop(pid: int) -> bool:
    """Whether the main thread of a process blocks a signal that asks it to end, as the launcher does."""
    status = Path(f"/proc/{pid}/status").read_text()
    mask = int(status.split("SigBlk:")[1].split()[0], 16)
    return any(mask >> (one - 1) & 1 for one in STOPS)


def test_a_killed_launcher_leaves_nothing_behind_and_all_jobs_are_kept(
    config: Path, environ: dict[str, str], tmp_path: Path
) -> None:
    with launched(launch("serve", str(config)), environ, tmp_path / "terminal") as run:
        run.wait_for_words("Ctrl-C", START_S)
        assert [process for process in run.seen if lives(process) and blocks_a_stop(process.pid)] == []
        [haproxy_cfg] = [word for word in part(run, "haproxy").cmdline() if word.endswith(".cfg")]
        folder = Path(haproxy_cfg).parents[1]
        assert folder.is_dir()
        names = jobs_in_flight(environ)
        os.kill(run.process.pid, signal.SIGKILL)
        run.process.wait()
        wait_for(lambda: not any(lives(process) for process in run.seen), STOP_S, "the end of every process")
        assert not folder.exists()
    assert sorted(kept(tmp_path / "data" / "valkey", environ, names)) == sorted(names)
