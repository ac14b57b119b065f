"""What clients are told of the server and its models, and what becomes of loading and unloading one."""

from typing import Any

import httpx
import numpy as np
import pytest

from deployments.catalogue import ModelState
from deployments.errors import ModelUnavailable
from tests.serve_app.conftest import FakeSystem, record
from tests.serve_app.faces.open_inference.asking import MODEL, error_in, infer


async def told(client: httpx.AsyncClient, path: str) -> Any:
    answer = await client.get(path)
    assert answer.status_code == 200, answer.text
    return answer.json()


async def test_health_follows_the_models_that_are_required(client: httpx.AsyncClient, system: FakeSystem) -> None:
    assert await told(client, "/v2/health/live") == {"live": True}
    assert await told(client, "/v2/health/ready") == {"live": True, "ready": True}
    system.records_now[0] = record(MODEL, ModelState.FAILED, required=True)
    assert MODEL in error_in(await client.get("/v2/health/ready"), 503)
    assert "ValueError: no such file" in error_in(await client.get(f"/v2/models/{MODEL}/ready"), 503)
    assert await told(client, "/v2/models/other/ready") == {"name": "other", "ready": True}
    assert "model_repository" in (await told(client, "/v2"))["extensions"]


@pytest.mark.parametrize(
    ("family", "outputs"),
    [
        ("fixed-answer", ["boxes", "scores", "class_ids", "labels", "image_index"]),
        ("ultralytics-classify", ["scores", "labels"]),
        ("huggingface", ["scores", "labels", "embedding"]),
    ],
)
async def test_a_model_is_described_by_what_it_answers(
    client: httpx.AsyncClient, system: FakeSystem, family: str, outputs: list[str]
) -> None:
    system.records_now.append(record("one", family=family, revision="2026-05"))
    metadata = await told(client, "/v2/models/one/versions/2026-05")
    assert [one["name"] for one in metadata["outputs"]] == outputs
    assert (metadata["name"], metadata["versions"], metadata["platform"]) == (
        "one",
        ["2026-05"],
        f"fathomnet_{family}",
    )
    config = await told(client, "/v2/models/one/config")
    assert [(one["name"], one["data_type"]) for one in config["input"]] == [
        ("image", "TYPE_STRING"),
        ("pixels", "TYPE_UINT8"),
    ]
    assert error_in(await client.get("/v2/models/one/versions/1/config"), 404)


async def test_a_queue_is_a_name_of_its_model(client: httpx.AsyncClient) -> None:
    assert (await told(client, "/v2/models/image_queue_yolov5"))["name"] == MODEL


async def test_statistics_count_what_came_through_this_face(client: httpx.AsyncClient, system: FakeSystem) -> None:
    await infer(client)
    system.fails_with = ModelUnavailable("away")
    await infer(client)
    [stats] = (await told(client, f"/v2/models/{MODEL}/stats"))["model_stats"]
    assert (stats["inference_count"], stats["execution_count"]) == (1, 2)
    stages = stats["inference_stats"]
    assert (stages["success"]["count"], stages["fail"]["count"], stages["compute_infer"]["count"]) == (1, 1, 1)
    assert stages["success"]["ns"] > stages["compute_input"]["ns"] > 0
    assert stats["last_inference"] > 1.7e12
    everything = (await told(client, "/v2/models/stats"))["model_stats"]
    assert {one["name"]: one["execution_count"] for one in everything} == {MODEL: 2, "other": 0}


async def test_the_index_says_what_would_answer(client: httpx.AsyncClient, system: FakeSystem) -> None:
    states = {
        "asleep": ModelState.ASLEEP,
        "failed": ModelState.FAILED,
        "starting": ModelState.STARTING,
        "stopping": ModelState.STOPPING,
    }
    system.records_now += [record(name, state) for name, state in states.items()]
    index = (await client.post("/v2/repository/index")).json()
    assert {one["name"]: one["state"] for one in index} == {
        MODEL: "READY",
        "other": "READY",
        "asleep": "READY",
        "failed": "UNAVAILABLE",
        "starting": "LOADING",
        "stopping": "UNLOADING",
    }
    ready = (await client.post("/v2/repository/index", json={"ready": True})).json()
    assert {one["name"] for one in ready} == {MODEL, "other", "asleep"}
    for wrong in ({"ready": 1}, {"redy": True}, []):
        assert error_in(await client.post("/v2/repository/index", json=wrong), 422)


async def test_loading_a_model_waits_until_it_answers(client: httpx.AsyncClient, system: FakeSystem) -> None:
    system.records_now.append(record("asleep", ModelState.ASLEEP))
    answer = await client.post("/v2/repository/models/asleep/load")
    assert (answer.status_code, answer.json()) == (200, {})
    [(name, request)] = system.asked
    assert name == "asleep"
    assert request.image.pixels is not None
    assert np.ptp(request.image.pixels) == 0
    system.fails_with = ModelUnavailable("no weights")
    assert error_in(await client.post("/v2/repository/models/asleep/load"), 503) == "no weights"
    assert error_in(await client.post("/v2/repository/models/nothing/load"), 404)
    configured = await client.post("/v2/repository/models/asleep/load", json={"parameters": {"config": "{}"}})
    assert "'config' cannot be set from here" in error_in(configured, 422)


async def test_nobody_takes_a_model_from_others(client: httpx.AsyncClient) -> None:
    answer = await client.post(
        f"/v2/repository/models/{MODEL}/unload", json={"parameters": {"unload_dependents": False}}
    )
    assert "cannot be unloaded from here" in error_in(answer, 422)
    assert error_in(await client.post("/v2/repository/models/nothing/unload"), 404)


@pytest.mark.parametrize(
    ("method", "path", "status"), [("GET", "/v2/nothing", 404), ("GET", "/v2/models/a/infer", 405)]
)
async def test_a_path_or_method_that_is_not_there_is_told_in_this_form(
    client: httpx.AsyncClient, method: str, path: str, status: int
) -> None:
    assert error_in(await client.request(method, path), status).startswith(f"{method} {path}: ")
