"""A system of a test's own, started by the launcher, with models that answer without TensorFlow."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil

from tests.support.waiting import wait_for
from tests.system.conftest import ROOT


def model(name: str, **args: Any) -> dict[str, Any]:
    return {
        "name": name,
        "import_path": "deployments.app:build",
        "route_prefix": None,
        "args": {"family": "fixed-answer", **args},
        "deployments": [
            {
                "name": "Model",
                "autoscaling_config": {"min_replicas": 1, "max_replicas": 1},
                "ray_actor_options": {"num_cpus": 0.1},
            }
        ],
    }


def redis_door(port: int) -> list[dict[str, Any]]:
    """The blocks of the embedded Valkey on `port`, and of the bridge."""
    return [
        {
            "name": "valkey",
            "import_path": "redis_bridge.embedded:build",
            "route_prefix": None,
            "args": {"port": port},
        },
        {"name": "bridge", "import_path": "redis_bridge.app:build", "route_prefix": None, "args": {}},
    ]


def document(http_port: int, *models: dict[str, Any]) -> dict[str, Any]:
    door = {"name": "api", "import_path": "serve_app.app:build", "route_prefix": "/"}
    args = {"default_model": models[0]["name"]}
    http = {"host": "127.0.0.1", "port": http_port}
    return {"http_options": http, "applications": [*models, door | {"args": args}]}


@dataclass
class Launched:
    """A launcher at work, what it said so far, and every process that it had."""

    process: subprocess.Popen[bytes]
    log: Path
    environ: dict[str, str]
    seen: set[psutil.Process] = field(default_factory=set)

    def said(self) -> str:
        return self.log.read_text()

    def wait_for_words(self, words: str, deadline_s: float) -> None:
        def condition() -> bool:
            return words in self.said() or self.process.poll() is not None

        wait_for(condition, deadline_s, f"{words!r} on the terminal")
        assert words in self.said(), self.said()
        if self.process.poll() is None:
            self.seen |= set(psutil.Process(self.process.pid).children(recursive=True))

    def left_behind(self) -> list[psutil.Process]:
        return [process for process in self.seen if process.is_running()]


@contextmanager
def launched(command: list[str], environ: dict[str, str], log: Path) -> Iterator[Launched]:
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            env=environ,
            cwd=ROOT,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    run = Launched(process, log, environ)
    try:
        yield run
    finally:
        process.kill()
        process.wait()
        for leftover in run.left_behind():
            leftover.kill()


def launch(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "serve_app.launch", *arguments]


def in_flight(url: str) -> int:
    """Established connections of this process to `url`'s port."""
    port = httpx.URL(url).port
    connections = psutil.Process().net_connections(kind="tcp")
    return sum(one.raddr[1:2] == (port,) and one.status == psutil.CONN_ESTABLISHED for one in connections)
