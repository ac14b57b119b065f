"""What the scenarios on a cluster share: the system is there, and what an event has cost."""

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import httpx

from tests.cluster.load import Asked, Load, load
from tests.cluster.nodes import HTTP_PORT, START_S, Bed, jobs_store
from tests.support.waiting import wait_for

CONFIG = "tests/cluster/system.yaml"
APPLICATIONS = ("patient", "api", "bridge")
REPLICAS = 2
RECOVERY_S = 240.0

FIGURES: list[str] = []
"""Lines for the end of the run's output."""


@dataclass
class Cost:
    """What an event has cost."""

    event: str
    requests: int = 0
    failures: int = 0
    jobs: int = 0
    lost: int = 0
    recovery_s: float = 0.0

    def __str__(self) -> str:
        return (
            f"{self.event}: {self.requests} requests, {self.failures} failures; {self.jobs} jobs, "
            f"{self.lost} lost; right again after {self.recovery_s:.1f} s"
        )


def tell(line: object) -> None:
    """Keeps a line for the end of the run's output."""
    FIGURES.append(str(line))


def deploy(bed: Bed) -> str:
    """Puts the system on the cluster, with the command that a person has."""
    done = bed.launch("deploy", CONFIG)
    assert done.returncode == 0, done.stdout + done.stderr + bed.logs()
    return done.stdout


def running(bed: Bed) -> dict[str, list[str]]:
    """Application -> addresses of the nodes of its running replicas."""
    return {
        name: [
            replica["node_ip"]
            for deployment in report["deployments"].values()
            for replica in deployment["replicas"]
            if replica["state"] == "RUNNING"
        ]
        for name, report in bed.details().get("applications", {}).items()
    }


def wait_until_whole(bed: Bed) -> None:
    """Returns when every application runs on every worker, and every worker answers."""
    workers = {node.address for node in bed.workers}

    def is_whole() -> bool:
        found = running(bed)
        return all(set(found.get(name, ())) == workers for name in APPLICATIONS) and all(
            health(address) == "ready" for address in workers
        )

    wait_for(is_whole, START_S, "replicas of everything on every worker", 0.5)


def health(address: str) -> str:
    """What the system says of itself at this node: ready, degraded or not ready; '' where no door answers."""
    with contextlib.suppress(httpx.HTTPError, ValueError):
        answer = httpx.get(f"http://{address}:{HTTP_PORT}/health/ready", timeout=5, trust_env=False)
        return str(answer.json()["status"])
    return ""


def takes_clients(address: str) -> bool:
    """What a load balancer asks: whether it may send clients to this node."""
    with contextlib.suppress(httpx.HTTPError):
        return httpx.get(f"http://{address}:{HTTP_PORT}/-/healthz", timeout=5, trust_env=False).status_code == 200
    return False


@contextlib.contextmanager
def under_load(bed: Bed, event: str) -> Iterator[tuple[Load, Cost]]:
    """Load on all workers meanwhile; then the cost is filled in."""
    cost = Cost(event)
    with jobs_store(bed) as store, load([node.address for node in bed.workers], store) as running_load:
        yield running_load, cost
        running_load.stop()
        cost.requests, cost.failures = len(running_load.requests), len(running_load.failures())
        cost.jobs, cost.lost = len(running_load.jobs), running_load.lost_jobs()


def seconds_until(condition: Callable[[], object], what: str) -> float:
    """How long it takes from now until `condition` is true."""
    began_s = time.monotonic()
    wait_for(condition, RECOVERY_S, what, 0.2)
    return time.monotonic() - began_s


def unexplained(failures: list[Asked], host: str, from_s: float, until_s: float) -> list[Asked]:
    """Failures that are not of a request to `host` that was under way, or came, in this time."""
    return [one for one in failures if one.host != host or one.ended_s < from_s or one.began_s > until_s]
