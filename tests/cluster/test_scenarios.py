"""A node is drained, a node dies, the head dies: under load over HTTP and through the queue. No accepted job is lost,
and what fails over HTTP was under way on the node that went. Each prints what it cost."""

import os
import subprocess
import sys
import time

import pytest

from tests.cluster.load import Asked
from tests.cluster.network import inside
from tests.cluster.nodes import RAY_PORT, ROOT, START_S, Bed, Node
from tests.cluster.scenarios import (
    deploy,
    health,
    seconds_until,
    takes_clients,
    tell,
    under_load,
    unexplained,
    wait_until_whole,
)

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(3 * START_S)]


def test_a_worker_that_is_killed_costs_what_was_under_way_there(bed: Bed) -> None:
    victim, other = bed.workers
    with under_load(bed, "worker killed") as (load, cost):
        killed_at_s = time.monotonic()
        victim.kill()
        cost.recovery_s = seconds_until(lambda: load.answered(killed_at_s, other.address) > 10, "the other worker")
        seconds_until(lambda: victim.address not in bed.living(), "Ray to notice the death")
        # Half of everything is gone and has no place: that is told, and the other half is still there for clients.
        seconds_until(lambda: health(other.address) == "degraded", "what is missing to be told")
        whole_s = _whole_again_s(bed)
    tell(f"{cost}; all was there again {whole_s:.1f} s after the worker was started again")
    assert cost.lost == 0
    assert shown(unexplained(load.failures(), victim.address, killed_at_s, time.monotonic())) == []


def test_while_the_head_is_dead_serving_goes_on(bed: Bed) -> None:
    with under_load(bed, "head killed and started again") as (load, cost):
        killed_at_s = time.monotonic()
        bed.head.kill()
        seconds_until(lambda: load.answered(killed_at_s) > 60, "sixty answers without a head")
        meanwhile = load.failures()
        cost.recovery_s = _whole_again_s(bed)
    tell(f"{cost}; without a head {len(meanwhile)} failures")
    assert cost.lost == 0
    assert shown(load.failures()) == []


def test_control_comes_back_with_the_head(bed: Bed) -> None:
    assert [line.split()[:2] for line in deploy(bed).splitlines()] == [
        ["api", "RUNNING"],
        ["bridge", "RUNNING"],
        ["patient", "RUNNING"],
    ]


def test_a_worker_that_is_drained_costs_nothing(bed: Bed) -> None:
    victim, other = bed.workers
    with under_load(bed, "worker drained") as (load, cost):
        began_s = time.monotonic()
        _drain(bed, victim)
        seconds_until(lambda: not takes_clients(victim.address), "the node to send load balancers away")
        load.leave(victim.address)
        seconds_until(lambda: not _has_replicas(bed, victim), "an empty node")
        cost.recovery_s = time.monotonic() - began_s
        victim.kill()
        killed_at_s = time.monotonic()
        seconds_until(lambda: load.answered(killed_at_s, other.address) > 30, "answers without the node")
    tell(cost)
    assert cost.lost == 0
    assert shown(load.failures()) == []


def _drain(bed: Bed, node: Node) -> None:
    """As a person drains a node, from the head."""
    with bed.system() as system:
        [node_id] = [
            one["node_id"] for one in system.nodes() if one.get("node_ip") == node.address and one["state"] == "ALIVE"
        ]
    ray = os.path.join(os.path.dirname(sys.executable), "ray")
    address = f"{bed.head.address}:{RAY_PORT}"
    options = ["--reason", "DRAIN_NODE_REASON_PREEMPTION", "--reason-message", "maintenance"]
    command = [
        ray,
        "drain-node",
        "--address",
        address,
        "--node-id",
        node_id,
        *options,
        "--deadline-remaining-seconds",
        "60",
    ]
    done = subprocess.run(
        inside("head", command),
        env=bed.head.environ,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def _has_replicas(bed: Bed, node: Node) -> bool:
    """Whether a replica is there in whatever state: those that are to move are no longer reported as running."""
    applications = bed.details().get("applications", {}).values()
    deployments = [one for report in applications for one in report["deployments"].values()]
    replicas = [one for each in deployments for one in each["replicas"]]
    return not applications or any(one.get("node_ip") == node.address for one in replicas)


def _whole_again_s(bed: Bed) -> float:
    """Seconds until what is started now is a node again, and every application runs on every worker."""
    began_s = time.monotonic()
    bed.heal()
    wait_until_whole(bed)
    return time.monotonic() - began_s


def shown(failures: list[Asked]) -> list[tuple[str, int]]:
    """Failures in short."""
    return [(one.host, one.status) for one in failures]
