"""A Ray cluster on one machine: a head that runs no replicas, two workers, and two Valkeys beside them, one for jobs
and one for what the head must not forget.

Where namespaces are not allowed Ray's own cluster utility would put all nodes at one address, which shows nothing
about addresses: `Bed.kind` says which it is.
"""

import contextlib
import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import redis

from serve_app.launcher.console import LaunchError
from serve_app.launcher.dashboard_client import RunningSystem
from tests.cluster.network import GATEWAY, bridge, inside, machine
from tests.redis_bridge.redis_servers import server, wait_until_it_answers
from tests.support.waiting import wait_for

ROOT = Path(__file__).parents[2]
START_S = 240.0
RAY_PORT, JOBS_PORT, HEAD_PORT, HTTP_PORT = 6379, 6390, 6391, 8082
NUMBERS = {"head": 11, "worker-1": 12, "worker-2": 13}
OF_A_WORKER = ("--num-cpus=4", "--num-gpus=2")
OF_THE_HEAD = ("--num-cpus=0", "--num-gpus=0", f"--port={RAY_PORT}")
STORE = f"--object-store-memory={150 * 2**20}"


@dataclass
class Node:
    """One machine, and what runs on it."""

    name: str
    address: str
    environ: dict[str, str]
    log: Path
    process: subprocess.Popen[bytes] | None = None

    def start(self, head: str) -> None:
        """Starts Ray there, as `python -m serve_app.launch node` does. head: '' for the head itself."""
        place = ["--address", f"{head}:{RAY_PORT}"] if head else ["--head"]
        options = [*(OF_A_WORKER if head else OF_THE_HEAD), STORE, f"--node-ip-address={self.address}"]
        self.process = self.run("node", *place, "--", *options)

    def runs(self) -> bool:
        """Whether Ray has been started there and has not ended."""
        return self.process is not None and self.process.poll() is None

    def run(self, *arguments: str, **environ: str) -> subprocess.Popen[bytes]:
        """A command of the launcher on this machine."""
        command = [sys.executable, "-u", "-m", "serve_app.launch", *arguments]
        with self.log.open("ab") as output:
            return subprocess.Popen(
                inside(self.name, command),
                cwd=ROOT,
                env=self.environ | environ,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    def kill(self) -> None:
        """Ends everything on the machine at once, by SIGKILL."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None


@dataclass
class Bed:
    """The cluster, and what a person has in hand to use it."""

    folder: Path
    password: str
    token: str
    nodes: dict[str, Node] = field(default_factory=dict)

    kind = "network namespaces, one for each node"

    @property
    def head(self) -> Node:
        """The node with Ray's own services."""
        return self.nodes["head"]

    @property
    def workers(self) -> list[Node]:
        """The nodes with replicas."""
        return [node for name, node in self.nodes.items() if name != "head"]

    @property
    def redis_url(self) -> str:
        """Where the jobs are."""
        return f"redis://:{self.password}@{GATEWAY}:{JOBS_PORT}/0"

    @property
    def environ(self) -> dict[str, str]:
        """The variables of whoever changes the cluster from this machine, which is none of its nodes."""
        return self.common() | {"RAY_ADDRESS": f"{self.head.address}:{RAY_PORT}"}

    def common(self) -> dict[str, str]:
        """The variables of every process."""
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith(("FATHOM_", "RAY_", "REDIS"))
        }
        return kept | {
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": self.token,
            "FATHOM_DATA_DIR": str(self.folder / "launcher"),
            "FATHOM_START_PATIENCE_S": str(START_S),
            "REDIS_URL": self.redis_url,
            "PYTHONUNBUFFERED": "1",
        }

    def of_node(self, name: str) -> dict[str, str]:
        """The variables with which a node is started."""
        caches = {"FATHOM_WEIGHTS_DIR": str(self.folder / name / "weights")}
        fast = {"RAY_health_check_period_ms": "1000", "RAY_health_check_failure_threshold": "5"}
        lasting = {
            "RAY_REDIS_ADDRESS": f"{GATEWAY}:{HEAD_PORT}",
            "RAY_external_storage_namespace": "bed",
            "FATHOM_DASHBOARD_HOST": "0.0.0.0",
        }
        return self.common() | caches | fast | (lasting if name == "head" else {})

    def launch(self, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
        """One command of the launcher, from this machine."""
        return launched(self.environ | environ, *arguments)

    def system(self) -> RunningSystem:
        """The dashboard's interface, for looking."""
        return RunningSystem(f"http://{self.head.address}:8265", self.environ)

    def living(self) -> set[str]:
        """The addresses of the nodes that Ray calls alive; empty while the head does not answer."""
        with self.system() as system, contextlib.suppress(LaunchError, KeyError, TypeError):
            return {node["node_ip"] for node in system.nodes() if node["state"] == "ALIVE"}
        return set()

    def details(self) -> dict[str, Any]:
        """What Serve reports; empty while it does not answer."""
        with self.system() as system:
            return system.details_or_none(10.0) or {}

    def heal(self) -> None:
        """Starts what is not running, the head first, and waits until Ray has all nodes."""
        wait_for(lambda: self._is_up(self.head), START_S, "the head", 0.5)
        wait_for(lambda: all([self._is_up(node) for node in self.workers]), START_S, "the workers", 0.5)

    def _is_up(self, node: Node) -> bool:
        # Ray gives a node half a minute to start, which a busy machine may exceed: then it is started again.
        if not node.runs():
            node.start("" if node is self.head else self.head.address)
        return node.address in self.living()

    def logs(self) -> str:
        """The last lines of every node."""
        return "\n".join(f"{one.name}: {one.log.read_text()[-2000:]}" for one in self.nodes.values())


@contextlib.contextmanager
def cluster(folder: Path) -> Iterator[Bed]:
    """A running cluster without any application."""
    bed = Bed(folder, secrets.token_hex(8), secrets.token_hex(16))
    with contextlib.ExitStack() as stack:
        stack.enter_context(bridge())
        jobs = (f"port {JOBS_PORT}", f"bind {GATEWAY}", f"requirepass {bed.password}", "appendonly yes")
        stack.enter_context(server(folder / "jobs", *jobs))
        lasting = (f"port {HEAD_PORT}", f"bind {GATEWAY}", "protected-mode no", "appendonly yes")
        stack.enter_context(server(folder / "gcs", *lasting))
        wait_until_it_answers(bed.redis_url, 60)
        wait_until_it_answers(f"redis://{GATEWAY}:{HEAD_PORT}", 60)
        for name, number in NUMBERS.items():
            (folder / name).mkdir()
            address = stack.enter_context(machine(name, number))
            bed.nodes[name] = Node(name, address, bed.of_node(name), folder / name / "ray.log")
            stack.callback(bed.nodes[name].kill)
        bed.heal()
        yield bed


def launched(environ: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    """One command of the launcher, and what it said."""
    command = [sys.executable, "-m", "serve_app.launch", *arguments]
    return subprocess.run(
        command, env=environ, cwd=ROOT, capture_output=True, text=True, timeout=2 * START_S, check=False
    )


def jobs_store(bed: Bed) -> "redis.Redis[bytes]":
    """The Redis that holds the jobs."""
    return redis.Redis.from_url(bed.redis_url)


def interrupt(process: subprocess.Popen[bytes]) -> None:
    """Ctrl-C on a machine: to the first program inside its namespaces."""
    children = subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True, text=True, check=True).stdout
    os.kill(int(children.split()[0]), signal.SIGINT)
