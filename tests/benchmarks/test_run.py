"""The bench with real processes: nothing is left behind, CPU is charged to whoever used it, and a whole run works."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from redis import Redis

from benchmarks.limit.limit import BATCHES, crews, every_setup, measure_limit
from benchmarks.load.redis_jobs import STAGED, JobMaker, NotAnswered, drain_s, push_to_answer_s
from benchmarks.machine.started import Started, StartError
from benchmarks.machine.usage import cpu_by_role
from benchmarks.models import bench_model
from benchmarks.pictures import picture
from benchmarks.systems import floor_worker
from benchmarks.systems.contract import QUEUE, REDIS, Workspace, python, server_environment
from benchmarks.systems.valkey import start_valkey
from redis_bridge.wire.job_format import Job, WireLimits, parse_job

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / "configs" / "app.yaml"

# A parent that leaves behind a child in a session of its own, and ends when it is interrupted.
LEAVES_A_CHILD = """
import subprocess, sys, time
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"], start_new_session=True)
print("child", child.pid, flush=True)
try:
    time.sleep(60)
except KeyboardInterrupt:
    pass
"""

BURNS = "import time\nwhile time.process_time() < 0.3: pass\nprint('burnt', flush=True)\ntime.sleep(60)"


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path, tmp_path, CONFIG)


@pytest.fixture
def store(workspace: Workspace) -> Iterator["Redis"]:
    """A real server with a floor worker on the queue `work`."""
    url, valkey = start_valkey(workspace, is_persistent=True)
    environ = {**server_environment(bench_model("m0", {})), REDIS: url, QUEUE: "work"}
    worker = Started("floor", python("-m", "benchmarks.systems.floor_worker"), workspace.folder, environ)
    try:
        worker.wait_until(lambda: floor_worker.READY in worker.last_words(), 30.0)
        with Redis.from_url(url) as client:
            yield client
    finally:
        worker.stop()
        valkey.stop()


def test_a_child_in_its_own_session_is_found_and_ended(tmp_path: Path) -> None:
    started = Started("parent", [sys.executable, "-c", LEAVES_A_CHILD], tmp_path, {})
    try:
        started.wait_until(lambda: "child" in started.last_words(), 10.0)
        child = psutil.Process(int(started.last_words().split()[1]))
        assert child.pid in {process.pid for process in started.processes()}
    finally:
        started.stop()
    assert not child.is_running()
    assert started.processes() == []


def test_no_python_runs_between_a_start_and_its_return(tmp_path: Path) -> None:
    hooks_run: list[str] = []
    os.register_at_fork(after_in_parent=lambda: hooks_run.append("an interrupt here would be lost"))
    Started("any", [sys.executable, "-c", ""], tmp_path, {}).stop()
    assert hooks_run == []


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


def test_a_system_that_ends_is_told_with_its_last_words(tmp_path: Path) -> None:
    started = Started("broken", [sys.executable, "-c", "raise SystemExit('no weights')"], tmp_path, {})
    try:
        with pytest.raises(StartError, match="no weights"):
            started.wait_until(lambda: False, 10.0)
    finally:
        started.stop()


def test_the_bridge_reads_the_jobs_that_are_pushed() -> None:
    small = picture("64px")
    parsed = parse_job(JobMaker(small).job("some-id"), WireLimits(10**6))
    assert isinstance(parsed, Job)
    assert parsed.job_id == "some-id"
    assert parsed.image.pixels is not None
    assert (parsed.image.pixels == small.pixels()).all()


def test_jobs_are_pushed_answered_and_drained(store: "Redis") -> None:
    maker = JobMaker(picture("64px"))
    span_s, answer = push_to_answer_s(store, "work", maker, 10.0)
    assert answer == floor_worker.ANSWER
    assert 0 < span_s < 10
    assert 0 < drain_s(store, "work", maker, 150, 20.0) < 20
    assert store.keys("*") == []


def test_jobs_that_nobody_answers_are_not_waited_for_for_ever(store: "Redis") -> None:
    maker = JobMaker(picture("64px"))
    with pytest.raises(NotAnswered, match="3 of 3 jobs"):
        drain_s(store, "nobody", maker, 3, 0.2)
    with pytest.raises(NotAnswered, match="no answer"):
        push_to_answer_s(store, "nobody", maker, 0.2)
    assert store.exists(STAGED) == 0


@contextmanager
def bench(tmp_path: Path, *arguments: str) -> Iterator["subprocess.Popen[str]"]:
    """The bench as its users run it."""
    command = [sys.executable, "-m", "benchmarks", "--results", f"{tmp_path}", "--quick", "--extras", ""]
    running = subprocess.Popen(
        [*command, *arguments],
        cwd=ROOT,
        text=True,
        stdout=subprocess.PIPE,
        env={**os.environ, "TMPDIR": f"{tmp_path}"},
    )
    try:
        yield running
    finally:
        if running.poll() is None:
            running.terminate()
        running.communicate(timeout=60)


def test_a_whole_run_writes_what_it_found(tmp_path: Path) -> None:
    with bench(tmp_path, "--systems", "handwritten-1", "--cases", "m0-64px-c8", "--seconds", "0.5") as running:
        told, _ = running.communicate(timeout=90)
    assert running.returncode == 0, told
    [folder] = [path for path in tmp_path.iterdir() if path.is_dir()]
    document = json.loads((folder / "results.json").read_text("utf-8"))
    [sample] = document["samples"]
    assert sample["figures"]["statuses"].keys() == {"200"}
    assert sample["figures"]["requests_per_s"] > 1
    assert sample["cpu_ms"]["server"] > 0
    assert "m0-64px-c8" in (folder / "report.md").read_text("utf-8")


def test_the_limit_tries_every_crew_and_batch_size(tmp_path: Path) -> None:
    file = tmp_path / "64px.bin"
    file.write_bytes(picture("64px").upload.content)
    setups = every_setup([file])
    rows = measure_limit(bench_model("m0", {}), setups, 0.02, tmp_path)
    tried = {(row["processes"], row["threads"], row["batch"]) for row in rows}
    assert tried == {(crew.processes, crew.threads, batch) for crew in crews() for batch in BATCHES}
    assert all(row["images_per_s"] > 0 and row["p50_ms"] > 0 and row["picture"] == "64px" for row in rows)
    assert [child for child in psutil.Process().children() if "limit_worker" in command_of(child)] == []


def test_an_interrupt_leaves_nothing_behind(tmp_path: Path) -> None:
    until_s = time.monotonic() + 60
    servers: list[psutil.Process] = []
    with bench(tmp_path, "--systems", "legacy", "--cases", "m0-64px-c8", "--seconds", "60") as running:
        while not any("legacy_web" in command_of(process) for process in servers):
            assert time.monotonic() < until_s
            assert running.poll() is None
            servers = psutil.Process(running.pid).children(recursive=True)
        running.send_signal(signal.SIGINT)
        told, _ = running.communicate(timeout=60)
    assert running.returncode == 130, told
    assert [process for process in servers if process.is_running()] == []
    assert not list(tmp_path.glob("fb-*"))


def command_of(process: psutil.Process) -> str:
    """Its command line; nothing when it has ended."""
    try:
        return " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return ""
