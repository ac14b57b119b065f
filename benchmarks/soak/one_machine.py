"""The system of a soak on this machine, started as its users start it: the launcher, the embedded Valkey."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import yaml

from benchmarks.load.free_ports import LOOPBACK, free_ports
from benchmarks.machine.started import Started
from benchmarks.soak.configuration import document, embedded_valkey
from benchmarks.soak.load import Doors
from benchmarks.soak.soak import SLEEPER, STEADY
from benchmarks.systems.contract import python

START_S = 240.0
RECOVERY_S = 120.0

VICTIMS = (
    ("the replica of the busy model", f"ServeReplica:{STEADY}:Model"),
    ("a bridge", "ServeReplica:bridge:Bridge"),
)
"""In turn. A door is not among them: what it has under way over HTTP can go nowhere else on one machine."""


class OneMachine:
    """A `Site`: one replica of the busy model, two doors, two bridges."""

    replicas = 1

    def __init__(self, started: Started, http_port: int, redis_port: int) -> None:
        self._started = started
        self._url = f"http://{LOOPBACK}:{http_port}"
        self.doors = Doors([self._url], f"redis://{LOOPBACK}:{redis_port}/0")

    def processes(self) -> list[psutil.Process]:
        """All its living processes."""
        return self._started.processes()

    def kill(self, number: int) -> str:
        """SIGKILL to a replica; returns when Ray Serve has put another into its place and everything is ready.

        Raises StartError when that takes too long.
        """
        name, title = VICTIMS[number % len(VICTIMS)]
        before = self._titled(title)
        before[0].kill()
        pids = {process.pid for process in before}

        def is_replaced() -> bool:
            now = {process.pid for process in self._titled(title)}
            return len(now) == len(pids) and bool(now - pids) and self.is_ready()

        seconds = self._started.wait_until(is_replaced, RECOVERY_S)
        return f"killed {name} (process {before[0].pid}); replaced and ready after {seconds:.1f} s"

    def wait_until_ready(self) -> None:
        """Until everything answers and the model that is to be woken sleeps. Raises StartError."""
        self._started.wait_until(self.is_ready, START_S)

    def is_ready(self) -> bool:
        """Whether the system says so, and both models are known."""
        with contextlib.suppress(httpx.HTTPError):
            ready = httpx.get(f"{self._url}/health/ready", timeout=5, trust_env=False)
            models = httpx.get(f"{self._url}/v1/models", timeout=5, trust_env=False)
            names = {one["name"] for one in models.json()["models"]} if models.is_success else set()
            return ready.is_success and names >= {STEADY, SLEEPER}
        return False

    def _titled(self, title: str) -> list[psutil.Process]:
        found = []
        for process in self.processes():
            with contextlib.suppress(psutil.Error):
                if title in " ".join(process.cmdline()):
                    found.append(process)
        return found


@contextlib.contextmanager
def one_machine(scratch: Path) -> Iterator[OneMachine]:
    """A system that is ready, and stopped in the end. scratch: a short path, as sockets lie below it.

    Raises StartError when it does not come up.
    """
    http, dashboard, redis = free_ports(3)
    content = document(OneMachine.replicas)
    content["applications"].append(embedded_valkey())
    config = scratch / "soak.yaml"
    config.write_text(yaml.safe_dump(content, sort_keys=False), "utf-8")
    environ = {
        "FATHOM_HTTP_HOST": LOOPBACK,
        "FATHOM_HTTP_PORT": f"{http}",
        "FATHOM_DASHBOARD_PORT": f"{dashboard}",
        "FATHOM_REDIS_PORT": f"{redis}",
        "FATHOM_DATA_DIR": f"{scratch / 'd'}",
        "FATHOM_RAY_TEMP_DIR": f"{scratch / 'ray'}",
        "REDIS_URL": "",
    }
    started = Started("soak", python("-m", "serve_app.launch", "serve", f"{config}"), scratch, environ)
    try:
        site = OneMachine(started, http, redis)
        site.wait_until_ready()
        yield site
    finally:
        started.stop()
