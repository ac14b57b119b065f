"""The whole system as a user runs it: the launcher, Ray Serve, both doors, the embedded Valkey and the demo model.

Started once for all tests of this folder that share it, on free ports and in folders of its own.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import redis

from serve_app.launcher.processes.ports import free_ports
from tests.support.fixtures import fixture_file
from tests.support.waiting import wait_for

ROOT = Path(__file__).parents[2]
SAMPLES = ROOT / "deployments" / "families" / "demo" / "samples"
START_S = 240
STOP_S = 90

FIGURES: list[str] = []
"""Lines for the end of the run's output."""


@pytest.hookimpl(tryfirst=True)  # before `-m` chooses
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Nothing runs beside a system, but for tests that allow it, and a test has the time that its start may take."""
    for item in items:
        if Path(__file__).parent not in item.path.parents:
            continue
        if item.get_closest_marker("beside_others") is None:
            item.add_marker("alone")
        if item.get_closest_marker("timeout") is None:
            item.add_marker(pytest.mark.timeout(START_S + STOP_S + 60))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Shows what was measured, whether tests passed or not."""
    if FIGURES:
        terminalreporter.section("figures")
        for line in FIGURES:
            terminalreporter.write_line(line)


def tell(line: str) -> None:
    """Keeps a line for the end of the run's output."""
    FIGURES.append(line)


def free_port() -> int:
    """A TCP port on 127.0.0.1 that nobody has now, nor gets by chance."""
    [port] = free_ports(1)
    return port


@dataclass
class RunningSystem:
    """The system under test and what a user has in hand to use and change it."""

    process: subprocess.Popen[str]
    environ: dict[str, str]
    http: httpx.Client
    redis: "redis.Redis[bytes]"
    folder: Path

    def launch(self, *arguments: str) -> str:
        """Runs one command of the launcher against this system; its output."""
        done = subprocess.run(
            [sys.executable, "-m", "serve_app.launch", *arguments],
            env=self.environ,
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=180,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def applications(self) -> dict[str, Any]:
        """What Ray's own REST interface says of the applications."""
        url = f"http://127.0.0.1:{self.environ['FATHOM_DASHBOARD_PORT']}/api/serve/applications/"
        answer = httpx.get(url, timeout=30, trust_env=False)
        answer.raise_for_status()
        applications: dict[str, Any] = answer.json()["applications"]
        return applications

    def replicas(self) -> dict[str, list[dict[str, Any]]]:
        """Running replicas by application."""
        return {
            name: [
                replica
                for deployment in application["deployments"].values()
                for replica in deployment["replicas"]
                if replica["state"] == "RUNNING"
            ]
            for name, application in self.applications().items()
        }

    def processes(self, application: str) -> set[int]:
        """Ids of the processes of its running replicas."""
        return {one["pid"] for one in self.replicas()[application]}

    def replica_ids(self) -> dict[str, list[str]]:
        """Ids of running replicas by application: what must not change when something else does."""
        return {name: sorted(one["replica_id"] for one in replicas) for name, replicas in self.replicas().items()}

    def models(self) -> dict[str, dict[str, Any]]:
        """What the HTTP door lists, by name."""
        return {model["name"]: model for model in self.http.get("/v1/models").json()["models"]}


def environment_for(folder: Path) -> dict[str, str]:
    """The variables of a system of its own: free ports, folders under `folder`, no authentication of Ray."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("FATHOM_", "RAY_", "REDIS_"))}
    return kept | {
        "FATHOM_HTTP_HOST": "127.0.0.1",
        "FATHOM_HTTP_PORT": str(free_port()),
        "FATHOM_DASHBOARD_PORT": str(free_port()),
        "FATHOM_REDIS_PORT": str(free_port()),
        "FATHOM_DATA_DIR": str(folder),
        # An empty cache and a mirror where nobody listens: weights come from a test or not at all.
        "FATHOM_WEIGHTS_DIR": str(folder / "weights"),
        "FATHOM_WEIGHTS_MIRROR": "http://127.0.0.1:9",
        "RAY_AUTH_MODE": "disabled",
        "PYTHONUNBUFFERED": "1",
    }


@contextmanager
def running_system(folder: Path, config: Path, environ: dict[str, str]) -> Iterator[RunningSystem]:
    """The system of `config`, from its banner to its orderly end."""
    log = folder / "launcher.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "serve_app.launch", "serve", str(config)],
            env=environ,
            cwd=ROOT,
            stdout=output,
            stderr=subprocess.STDOUT,
            text=True,
        )
    try:
        wait_for(lambda: process.poll() is not None or "Ctrl-C" in log.read_text(), START_S, "the banner")
        assert process.poll() is None, log.read_text()
        with (
            httpx.Client(
                base_url=f"http://127.0.0.1:{environ['FATHOM_HTTP_PORT']}", timeout=60, trust_env=False
            ) as http,
            redis.Redis(port=int(environ["FATHOM_REDIS_PORT"])) as store,
        ):
            yield RunningSystem(process, environ, http, store, folder)
        process.send_signal(signal.SIGINT)
        status = process.wait(STOP_S)
        assert status == 0, log.read_text()
    finally:
        if process.poll() is None:
            process.kill()


@pytest.fixture(scope="session")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningSystem]:
    folder = tmp_path_factory.mktemp("system")
    environ = environment_for(folder) | {"FATHOM_GRPC_PORT": str(free_port())}
    with running_system(folder, Path("configs/app.yaml"), environ) as running:
        yield running


@pytest.fixture(scope="session")
def truth() -> dict[str, list[dict[str, Any]]]:
    """Objects that were drawn, by sample file: label and bbox."""
    document = json.loads((SAMPLES / "truth.json").read_text())
    return {name: sample["objects"] for name, sample in document.items()}


@pytest.fixture(scope="session")
def legacy_frame() -> Path:
    """The legacy server's own demo frame."""
    return fixture_file("images/00_01_13_13.png")
