"""Models, health, metrics, the page and cross-origin calls."""

import httpx
import pytest

from deployments.catalogue import ModelState
from serve_app.faces.system.cluster_metrics import merge
from tests.serve_app.conftest import FakeSystem, record


async def test_models_are_listed_with_definition_and_state(client: httpx.AsyncClient, system: FakeSystem) -> None:
    system.records_now.append(record("sleepy", ModelState.ASLEEP, labels=["a", "b"]))
    body = (await client.get("/v1/models")).json()
    assert body["default_model"] == "benthic-demo"
    assert [(model["name"], model["state"]) for model in body["models"]] == [
        ("benthic-demo", "ready"),
        ("other", "ready"),
        ("sleepy", "asleep"),
    ]
    assert body["models"][0]["queues"] == ["image_queue_yolov5", "image_queue_detectron2"]
    assert body["models"][2]["labels"] == ["a", "b"]
    one = (await client.get("/v1/models/image_queue_yolov5")).json()
    assert one == body["models"][0]
    missing = await client.get("/v1/models/none")
    assert missing.status_code == 404
    assert "success" not in missing.json()


async def test_live_needs_no_model(client: httpx.AsyncClient, system: FakeSystem) -> None:
    system.records_now = []
    assert (await client.get("/health/live")).status_code == 200


async def test_ready_depends_on_required_models_only(client: httpx.AsyncClient, system: FakeSystem) -> None:
    assert (await client.get("/health/ready")).json() == {"status": "ready", "reasons": [], "degraded": []}
    system.records_now[1] = record("other", ModelState.FAILED)
    system.unhealthy = {"bridge": "it died"}
    answer = await client.get("/health/ready")
    assert answer.status_code == 200
    assert [entry.get("model") or entry["application"] for entry in answer.json()["degraded"]] == [
        "other",
        "bridge",
    ]
    system.records_now[0] = record("benthic-demo", ModelState.STARTING, required=True)
    answer = await client.get("/health/ready")
    assert answer.status_code == 503
    assert answer.json()["reasons"] == [
        {"model": "benthic-demo", "state": "starting", "reason": "ValueError: no such file"}
    ]


async def test_metrics_are_on_the_same_port(client: httpx.AsyncClient) -> None:
    answer = await client.get("/metrics")
    assert answer.text == "fathom_requests_total 1\n"
    assert answer.headers["content-type"].startswith("text/plain")


def test_metrics_of_nodes_are_merged_into_one_valid_text() -> None:
    node = (
        "# HELP ray_fathom_x_total words\n# TYPE ray_fathom_x_total counter\n"
        'ray_fathom_x_total{{Component="core_worker",NodeAddress="{0}",Version="2",model="m"}} 1.0\n'
        "# HELP ray_node_cpu other\n# TYPE ray_node_cpu gauge\nray_node_cpu 3\n"
        '# HELP ray_serve_y y\n# TYPE ray_serve_y gauge\nray_serve_y{{NodeAddress="{0}",WorkerId="w"}} 2.0\n'
    )
    assert merge([node.format("a"), node.format("b")]) == (
        "# HELP fathom_x_total words\n# TYPE fathom_x_total counter\n"
        'fathom_x_total{NodeAddress="a",model="m"} 1.0\nfathom_x_total{NodeAddress="b",model="m"} 1.0\n'
        "# HELP ray_serve_y y\n# TYPE ray_serve_y gauge\n"
        'ray_serve_y{NodeAddress="a"} 2.0\nray_serve_y{NodeAddress="b"} 2.0\n'
    )


def test_what_ray_says_of_machines_and_their_gpus_is_kept() -> None:
    node = (
        "# HELP ray_node_gram_used MiB\n# TYPE ray_node_gram_used gauge\n"
        'ray_node_gram_used{GpuIndex="0",SessionName="s",Version="2",ip="a",otel_scope_name="r"} 7.0\n'
        "# HELP ray_node_mem_used_host bytes\n# TYPE ray_node_mem_used_host gauge\nray_node_mem_used_host 3\n"
    )
    assert merge([node]) == (
        "# HELP ray_node_gram_used MiB\n# TYPE ray_node_gram_used gauge\n"
        'ray_node_gram_used{GpuIndex="0",ip="a"} 7.0\n'
    )


@pytest.mark.parametrize("path", ["/", "/static/index.html", "/model/v1/", "/model/v1/static/index.html"])
async def test_the_page_loads_nothing_from_elsewhere(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.get(path)
    assert answer.status_code == 200
    assert "default-src 'self'" in answer.headers["content-security-policy"]
    assert "http://" not in answer.text.replace("http://www.w3.org", "")
    assert "https://" not in answer.text


async def test_the_page_finds_its_files_from_wherever_it_is_served(client: httpx.AsyncClient) -> None:
    for path, base in (("/", "./"), ("/model/v1/", "./"), ("/static/index.html", "../")):
        assert f'<base href="{base}">' in (await client.get(path)).text
    without_slash = await client.get("/model/v1")
    assert without_slash.headers["location"] == "v1/"


async def test_samples_are_listed_and_served(client: httpx.AsyncClient) -> None:
    [sample] = (await client.get("/v1/samples")).json()
    assert sample["name"] == "frame.png"
    assert (await client.get("/" + sample["url"])).content == b"\x89PNG"


async def test_static_files_stay_in_their_folder(client: httpx.AsyncClient) -> None:
    for path in ("/static/../api.py", "/static/%2e%2e/api.py", "/static/samples/..%2f..%2fapi.py"):
        assert (await client.get(path)).status_code == 404


async def test_browsers_on_this_machine_may_call(client: httpx.AsyncClient) -> None:
    headers = {
        "Origin": "http://localhost:8080",
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Private-Network": "true",
    }
    answer = await client.options("/predictor/", headers=headers)
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == "http://localhost:8080"
    assert answer.headers["access-control-allow-private-network"] == "true"
    foreign = await client.options("/predictor/", headers={**headers, "Origin": "https://elsewhere.example"})
    assert "access-control-allow-origin" not in foreign.headers


async def test_an_unknown_route_is_a_problem(client: httpx.AsyncClient) -> None:
    answer = await client.get("/nothing/here")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
