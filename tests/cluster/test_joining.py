"""A system on a cluster that was there before: settings reach it, secrets do not show, all nodes answer alike."""

from collections.abc import Iterator

import httpx
import pytest
import yaml

from serve_app.launcher.configuration.model_rules import IMAGES_POLICY
from tests.cluster.network import GATEWAY
from tests.cluster.nodes import HTTP_PORT, ROOT, START_S, Bed
from tests.cluster.scenarios import CONFIG, running
from tests.deployments.weights.file_server import file_server
from tests.support.waiting import wait_for

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(3 * START_S)]


@pytest.fixture
def doors(bed: Bed) -> Iterator[list[httpx.Client]]:
    """A client for the door of each worker."""
    clients = [
        httpx.Client(base_url=f"http://{node.address}:{HTTP_PORT}", timeout=60, trust_env=False)
        for node in bed.workers
    ]
    yield clients
    for client in clients:
        client.close()


def test_replicas_of_everything_are_on_every_worker(bed: Bed) -> None:
    workers = {node.address for node in bed.workers}
    assert {name: set(hosts) for name, hosts in running(bed).items()} == dict.fromkeys(
        ("patient", "api", "bridge"), workers
    )


def test_every_node_answers_alike(bed: Bed, doors: list[httpx.Client]) -> None:
    for path in ("/", "/health/live", "/v1/models/patient", "/nothing-here"):
        first, second = (door.get(path) for door in doors)
        assert (first.status_code, first.headers["content-type"]) == (
            second.status_code,
            second.headers["content-type"],
        )
        assert first.text.replace(str(first.headers.get("x-request-id")), "") == second.text.replace(
            str(second.headers.get("x-request-id")), ""
        )


def test_one_scrape_has_the_metrics_of_all_nodes(bed: Bed, doors: list[httpx.Client]) -> None:
    def both_models_are_there() -> bool:
        text = doors[0].get("/metrics").text
        lines = [line for line in text.splitlines() if "replica=" in line and 'application="patient"' in line]
        return len({line.partition('replica="')[2].partition('"')[0] for line in lines}) >= len(bed.workers)

    wait_for(both_models_are_there, 120, "metrics of the replicas on both nodes", 1)


def test_status_shows_the_nodes(bed: Bed) -> None:
    said = bed.launch("status").stdout
    assert f"{bed.head.address:<15}  ALIVE  head; no CPU for replicas" in said
    for node in bed.workers:
        assert f"{node.address:<15}  ALIVE  4 CPU; 2 GPU; runs api, bridge, patient; proxy HEALTHY" in said


def test_the_password_of_redis_is_shown_nowhere(bed: Bed) -> None:
    headers = {"Authorization": f"Bearer {bed.token}"}
    for path in ("/api/serve/applications/", "/api/v0/actors?detail=1", "/api/jobs/", "/api/v0/runtime_envs"):
        answer = httpx.get(f"http://{bed.head.address}:8265{path}", headers=headers, timeout=60, trust_env=False)
        assert answer.status_code == 200, path
        assert bed.password not in answer.text, path


def test_who_has_no_token_is_refused(bed: Bed) -> None:
    done = bed.launch("deploy", CONFIG, RAY_AUTH_TOKEN="0" * 32)
    assert done.returncode == 2
    assert "refuses access" in done.stderr
    assert "RAY_AUTH_TOKEN" in done.stderr


def test_what_a_node_lacks_is_named_before_anything_changes(
    bed: Bed, tmp_path_factory: pytest.TempPathFactory
) -> None:
    config = tmp_path_factory.mktemp("configs") / "system.yaml"
    system = yaml.safe_load((ROOT / CONFIG).read_text())
    args = {"family": "yolov5", "weights": "/nowhere/best.pt"}
    deployments = [{"name": "Model", "autoscaling_config": {"min_replicas": 0, "max_replicas": 1}}]
    block = {"name": "lacking", "import_path": "deployments.app:build", "route_prefix": None, "args": args}
    block["deployments"] = deployments
    config.write_text(yaml.safe_dump({**system, "applications": [*system["applications"], block]}))
    done = bed.launch("deploy", str(config))
    assert done.returncode == 2
    for node in bed.workers:
        assert f"node {node.address}: /nowhere/best.pt is not there" in done.stderr
    assert "lacking" not in running(bed)


def test_weights_are_fetched_once_for_each_node(bed: Bed, tmp_path_factory: pytest.TempPathFactory) -> None:
    place = "/hf/someone/somewhere/main/best.pt"
    scaling = {"min_replicas": 4, "max_replicas": 4, "policy": {"policy_function": IMAGES_POLICY}}
    block = {
        "name": "heavy",
        "import_path": "deployments.app:build",
        "route_prefix": None,
        "args": {"family": "fixed-answer", "weights": "hf://someone/somewhere/best.pt"},
        "deployments": [
            {
                "name": "Model",
                "max_replicas_per_node": 2,
                "autoscaling_config": scaling,
                "ray_actor_options": {"num_cpus": 0.1},
            }
        ],
    }
    config = tmp_path_factory.mktemp("blocks") / "heavy.yaml"
    config.write_text(yaml.safe_dump(block))
    with file_server(GATEWAY) as mirror:
        mirror.files[place] = b"weights" * 1000
        done = bed.launch("add", str(config), FATHOM_WEIGHTS_MIRROR=mirror.url)
        assert done.returncode == 0, done.stdout + done.stderr
        assert sorted(running(bed)["heavy"]) == sorted(2 * [node.address for node in bed.workers])
        assert [path for path, _ in mirror.asked].count(place) == len(bed.workers)
    assert bed.launch("remove", "heavy").returncode == 0
