"""A system on a cluster that was there before: settings reach it, secrets do not show, all nodes answer alike."""

import time
from collections.abc import Iterator

import httpx
import pytest
import yaml

from serve_app.access.keys import Key, Scope, digest_of, entry_text, new_key
from serve_app.launcher.configuration.model_rules import IMAGES_POLICY
from tests.cluster.load import FRAME, QUEUE, job
from tests.cluster.network import GATEWAY
from tests.cluster.nodes import HTTP_PORT, ROOT, START_S, Bed, jobs_store
from tests.cluster.scenarios import CONFIG, running
from tests.deployments.weights.file_server import file_server
from tests.support.waiting import wait_for

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(3 * START_S)]


PAGES = (
    "/",
    "/health/live",
    "/v1/models",
    "/v1/models/patient",
    "/v1/samples",
    "/static/samples/seafloor-1.png",
    "/no",
)
SERIES = ("fathom_requests_total", "fathom_http_requests_total", "fathom_redis_jobs_total")
"""One of each model, each door, each bridge."""

JOBS = 20


@pytest.fixture
def doors(bed: Bed) -> Iterator[list[httpx.Client]]:
    """A client for the HTTP port of each node, the head's first."""
    clients = [
        httpx.Client(base_url=f"http://{node.address}:{HTTP_PORT}", timeout=60, trust_env=False)
        for node in bed.nodes.values()
    ]
    yield clients
    for client in clients:
        client.close()


def test_replicas_of_everything_are_on_every_worker(bed: Bed) -> None:
    workers = {node.address for node in bed.workers}
    assert {name: set(hosts) for name, hosts in running(bed).items()} == dict.fromkeys(
        ("patient", "api", "bridge"), workers
    )


def test_every_node_answers_alike(doors: list[httpx.Client]) -> None:
    head, *workers = [[_seen(door.get(path)) for path in PAGES] for door in doors]
    assert [status for status, _, _ in head] == [200] * (len(PAGES) - 1) + [404]
    assert workers == [head, head]


def test_every_node_predicts_alike(doors: list[httpx.Client]) -> None:
    for upload, status in ((FRAME, 200), (("notes.txt", b"no image", "text/plain"), 422)):
        head, *workers = [_seen(door.post("/predictor/", files={"file": upload})) for door in doors]
        assert head[0] == status, head
        assert workers == [head, head]


def test_one_scrape_of_any_node_has_the_metrics_of_all(bed: Bed, doors: list[httpx.Client]) -> None:
    nodes = {node.address for node in bed.nodes.values()}
    workers = {node.address for node in bed.workers}

    def places(text: str, series: str, label: str) -> set[str]:
        lines = [line for line in text.splitlines() if line.startswith(series)]
        return {line.partition(f'{label}="')[2].partition('"')[0] for line in lines}

    def has_all(door: httpx.Client) -> bool:
        text = door.get("/metrics").text
        replicas = [places(text, series, "NodeAddress") for series in SERIES]
        return replicas == [workers] * len(SERIES) and places(text, "ray_node_mem_total", "ip") == nodes

    def everybody_has_all() -> bool:
        # Whoever has done nothing has no series, and one of two may be quick enough to do everything.
        for number in range(JOBS):
            store.rpush(QUEUE, job(f"joining-{time.monotonic_ns()}-{number}"))
        for door in doors:
            door.post("/predictor/", files={"file": FRAME})
        return all([has_all(door) for door in doors])

    with jobs_store(bed) as store:
        wait_for(everybody_has_all, 120, "metrics of all replicas and machines", 1)


def _seen(answer: httpx.Response) -> tuple[int, str, bytes]:
    """What must be the same everywhere."""
    own_id = str(answer.headers.get("x-request-id")).encode()
    return (answer.status_code, answer.headers["content-type"], answer.content.replace(own_id, b""))


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
    for path in ("/api/serve/applications/", "/api/jobs/", "/api/v0/nodes"):
        answer = httpx.get(f"http://{bed.head.address}:8265{path}", timeout=60, trust_env=False)
        assert answer.status_code == 401, path


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


def test_models_come_and_go_over_http_from_any_node(bed: Bed, tmp_path_factory: pytest.TempPathFactory) -> None:
    key, folder = new_key(), tmp_path_factory.mktemp("keys")
    keys = folder / "keys.toml"
    keys.write_text(entry_text(Key(name="ada", sha256=digest_of(key).hex(), scopes=frozenset({Scope.ADMIN}))))
    keys.chmod(0o600)
    block = {
        "name": "newcomer",
        "import_path": "deployments.app:build",
        "route_prefix": None,
        "args": {"family": "fixed-answer"},
        "deployments": [{"name": "Model", "autoscaling_config": {"min_replicas": 1, "max_replicas": 1}}],
    }
    [door] = [one for one in yaml.safe_load((ROOT / CONFIG).read_text())["applications"] if one["name"] == "api"]
    config = folder / "small.yaml"
    applications = [door, block | {"name": "stays"}]
    config.write_text(yaml.safe_dump({"http_options": {"port": HTTP_PORT}, "applications": applications}))
    done = bed.launch("deploy", str(config), FATHOM_API_KEYS_FILE=str(keys), FATHOM_NUM_GPUS="0")
    assert done.returncode == 0, done.stdout + done.stderr
    try:
        for node in bed.nodes.values():
            url = f"http://{node.address}:{HTTP_PORT}"
            with httpx.Client(base_url=url, timeout=60, trust_env=False, headers={"X-API-Key": key}) as http:
                added = http.post("/v1/models", json=block)
                assert added.status_code == 202, added.text
                wait_for(lambda: "newcomer" in running(bed), START_S, "the new model", 0.5)
                [model] = bed.details()["applications"]["newcomer"]["deployed_app_config"]["deployments"]
                assert model["ray_actor_options"]["num_gpus"] == 0, "what the launcher's environment says"
                removed = http.delete("/v1/models/newcomer")
                assert removed.status_code == 202, removed.text
                wait_for(lambda: "newcomer" not in bed.details()["applications"], START_S, "it to go", 0.5)
    finally:
        assert bed.launch("deploy", CONFIG).returncode == 0
