"""Workers that are forked are what Ray meant to start; where none can be forked, Ray's own command runs."""

import json
import os
import resource
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import pytest

from serve_app.launcher.fork_server import server
from serve_app.launcher.fork_server.rays_python import python_for_ray
from tests.support.waiting import wait_for

WITHIN_S = 60.0

WORKER = """
import json, os, random, resource, signal, sys

print(json.dumps({
    "name": __name__,
    "arguments": sys.argv,
    "path": sys.path[0],
    "environment": dict(os.environ),
    "folder": os.getcwd(),
    "ignored": sorted(s for s in signal.valid_signals() if signal.getsignal(s) == signal.SIG_IGN),
    "blocked": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, [])),
    "in_group_of_parent": os.getpgid(0) == os.getpgid(os.getppid()),
    "niceness": os.getpriority(os.PRIO_PROCESS, 0),
    "files": resource.getrlimit(resource.RLIMIT_NOFILE),
    "descriptors": sorted(fd for fd in map(int, os.listdir("/proc/self/fd")) if fd < 3),
}), flush=True)
was_forked = "colorsys" in sys.modules
has_later = "zipapp" in sys.modules
ways = {"was_forked": was_forked, "has_later": has_later, "parent": os.getppid(), "random": random.random()}
print(json.dumps(ways))
print("last words", file=sys.stderr)
sys.stdin.read()
"""


@contextmanager
def rays_python(later: str = "") -> Iterator[tuple[Path, psutil.Process]]:
    """The program for Ray, and the server behind it once it listens."""
    before = set(psutil.Process().children())
    with python_for_ray(os.environ, "colorsys", later) as program:
        [process] = set(psutil.Process().children()) - before
        wait_for(lambda: _listens(program.with_name("workers.sock")), WITHIN_S, "the server")
        yield program, process


def _listens(address: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as client:
        return client.connect_ex(str(address)) == 0


def _changed() -> None:
    """As a raylet leaves its children."""
    os.setpgid(0, 0)
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    os.nice(3)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft - 1, hard))


def _run(command: list[str | Path], folder: Path) -> tuple[list[dict[str, Any]], str]:
    environment = {**os.environ, "RAY_RAYLET_PID": "17", "LC_ALL": "C.UTF-8"}
    done = subprocess.run(
        command,
        cwd=folder,
        env=environment,
        preexec_fn=_changed,
        input="",
        capture_output=True,
        text=True,
        timeout=60,
    )
    return [json.loads(line) for line in done.stdout.splitlines()], done.stderr


@pytest.fixture
def worker(tmp_path: Path) -> Path:
    script = tmp_path / "default_worker.py"
    script.write_text(WORKER)
    return script


def test_a_forked_worker_is_as_ray_would_have_started_it(worker: Path) -> None:
    arguments = ["--node-ip-address=127.0.0.1", "--webui=", "two words"]
    with rays_python() as (program, process):
        [state, ways], errors = _run([program, worker, *arguments], worker.parent)
        assert ways["was_forked"]
        assert ways["parent"] == process.pid
    [expected, other_ways], other_errors = _run([sys.executable, worker, *arguments], worker.parent)
    assert not other_ways["was_forked"]
    # What a shell adds that runs a script.
    for name in ("_", "PWD", "OLDPWD", "SHLVL"):
        state["environment"].pop(name, None)
        expected["environment"].pop(name, None)
    assert state == expected
    assert errors == other_errors == "last words\n"


def test_workers_that_are_wanted_after_a_while_share_more(worker: Path) -> None:
    with rays_python(later="zipapp") as (program, _):
        [_, ways], _ = _run([program, worker], worker.parent)
        assert not ways["has_later"]
        wait_for(
            lambda: _run([program, worker], worker.parent)[0][1]["has_later"], WITHIN_S, "zipapp", 2 * server.CALM_S
        )


def test_each_worker_draws_random_numbers_of_its_own(worker: Path) -> None:
    with rays_python() as (program, _):
        drawn = {_run([program, worker], worker.parent)[0][1]["random"] for _ in range(3)}
    assert len(drawn) == 3


@pytest.mark.parametrize("script", ["setup_worker.py", "dashboard.py"])
def test_what_is_no_plain_worker_is_started_as_ray_asked(worker: Path, script: str) -> None:
    """Ray runs `setup_worker.py` for a worker with a runtime environment of its own."""
    other = worker.rename(worker.with_name(script))
    with rays_python() as (program, _):
        for command in ([program, other], [program, "-u", other]):
            [_, ways], _ = _run(command, other.parent)
            assert not ways["was_forked"]


def test_a_worker_is_started_as_ray_asked_when_the_server_has_died(worker: Path) -> None:
    with rays_python() as (program, process):
        process.kill()
        process.wait()
        [_, ways], errors = _run([program, worker], worker.parent)
    assert not ways["was_forked"]
    assert errors == "last words\n"


def test_nonsense_on_the_socket_does_not_end_the_server(worker: Path) -> None:
    with rays_python() as (program, _):
        address = str(program.with_name("workers.sock"))
        for nonsense in (b"", b"\0\0", b"\0\0\0\1{", b"\xff\xff\xff\xff{}", b"\0\0\0\2[]", b"\0\0\0\2{}"):
            with socket.socket(socket.AF_UNIX) as client:
                client.connect(address)
                client.sendall(nonsense)
        [_, ways], _ = _run([program, worker], worker.parent)
        assert ways["was_forked"]


def test_only_its_owner_reaches_the_server() -> None:
    with rays_python() as (program, _):
        assert program.parent.stat().st_mode & 0o077 == 0
    assert not program.parent.exists()


def test_workers_outlive_the_server(worker: Path) -> None:
    with rays_python() as (program, process):
        started = subprocess.Popen([program, worker], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert started.stdout is not None
        assert started.stdin is not None
        started.stdout.readline()
        [forked] = wait_for(process.children, WITHIN_S, "the worker")
    assert not psutil.pid_exists(process.pid)
    assert forked.is_running()
    started.stdin.close()
    assert '"was_forked": true' in started.stdout.read()
    started.stdout.close()
    started.wait()


def test_the_server_ends_with_a_process_that_was_killed() -> None:
    owner = """
import os, sys
from serve_app.launcher.fork_server.rays_python import python_for_ray

with python_for_ray(os.environ, "colorsys"):
    print("ready", flush=True)
    sys.stdin.read()
"""
    with subprocess.Popen(
        [sys.executable, "-c", owner], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as started:
        assert started.stdout is not None
        assert started.stdout.readline() == "ready\n"
        [process] = psutil.Process(started.pid).children()
        started.kill()
    wait_for(lambda: not process.is_running() or process.status() == psutil.STATUS_ZOMBIE, WITHIN_S, "its end")


def test_the_name_of_the_server_is_that_of_its_module() -> None:
    from serve_app.launcher.fork_server.rays_python import SERVER

    assert server.__name__ == SERVER
