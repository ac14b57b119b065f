"""Where network namespaces are not allowed: nodes of Ray's own cluster utility, all at one address and behind one
proxy. A node dies under load and no job is lost; what depends on addresses is not tried."""

import os
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import redis
import yaml
from ray.cluster_utils import Cluster

from serve_app.launcher.dashboard_client import RunningSystem
from serve_app.launcher.processes.ports import free_ports
from tests.cluster import network
from tests.cluster.load import load
from tests.cluster.nodes import ROOT, START_S, launched
from tests.cluster.scenarios import CONFIG, REPLICAS, Cost, seconds_until, tell
from tests.redis_bridge.redis_servers import server, wait_until_it_answers

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(3 * START_S)]

WORKER = {"num_cpus": 4, "num_gpus": 2}


@pytest.fixture
def environ(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, str]]:
    """The variables of all processes, with a Valkey apart."""
    if network.are_allowed():
        pytest.skip("network namespaces are allowed here: the real nodes run instead")
    redis_port, dashboard_port = free_ports(2)
    variables = {
        "RAY_AUTH_MODE": "token",
        "RAY_AUTH_TOKEN": "only-for-this-run",
        "REDIS_URL": f"redis://127.0.0.1:{redis_port}",
        "FATHOM_DATA_DIR": str(tmp_path),
        "FATHOM_DASHBOARD_PORT": str(dashboard_port),
        "FATHOM_START_PATIENCE_S": str(START_S),
        # The nodes look for the job's interpreter by name.
        "PATH": f"{ROOT / '.venv/bin'}:{os.environ['PATH']}",
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with server(tmp_path / "jobs", f"port {redis_port}"):
        wait_until_it_answers(variables["REDIS_URL"], 60)
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("FATHOM_")}
        yield {**inherited, **variables}


@pytest.fixture
def cluster(environ: dict[str, str]) -> Iterator[Cluster]:
    """A head without replicas, and two workers."""
    head: dict[str, Any] = {"num_cpus": 0, "include_dashboard": True}
    found = Cluster(
        initialize_head=True, head_node_args=head | {"dashboard_port": int(environ["FATHOM_DASHBOARD_PORT"])}
    )
    yield found
    found.shutdown()


def test_a_node_that_dies_costs_no_job(cluster: Cluster, environ: dict[str, str], tmp_path: Path) -> None:
    tell("nodes: Ray's own cluster utility, all at one address, as network namespaces are not allowed here")
    victim, _ = cluster.add_node(**WORKER), cluster.add_node(**WORKER)
    environ = environ | {"RAY_ADDRESS": cluster.address}
    document = yaml.safe_load((ROOT / CONFIG).read_text()) | {"proxy_location": "HeadOnly"}
    config = tmp_path / "system.yaml"
    config.write_text(yaml.safe_dump(document))
    done = launched(environ, "deploy", str(config))
    assert done.returncode == 0, done.stdout + done.stderr
    cost = Cost("node killed")
    with closing(redis.Redis.from_url(environ["REDIS_URL"])) as store, load(["127.0.0.1"], store) as running:
        cluster.remove_node(victim, allow_graceful=False)
        cost.recovery_s = seconds_until(lambda: _alive(environ) == REPLICAS, "Ray to notice the death")
        running.stop()
        cost.requests, cost.failures = len(running.requests), len(running.failures())
        cost.jobs, cost.lost = len(running.jobs), running.lost_jobs()
    tell(cost)
    assert cost.lost == 0


def _alive(environ: dict[str, str]) -> int:
    """How many nodes Ray calls alive, the head among them."""
    with RunningSystem(f"http://127.0.0.1:{environ['FATHOM_DASHBOARD_PORT']}", environ) as system:
        return sum(node["state"] == "ALIVE" for node in system.nodes())
