"""What the door says of the running system, and health under the names of other servers."""

import httpx
import pytest

from deployments.byte_budget import ByteBudget
from deployments.catalogue import ModelState
from deployments.errors import Overloaded
from deployments.external import ExternalWorker, record_of
from serve_app.activity import Activity
from serve_app.faces.system.readiness import Signs
from serve_app.faces.system.system_report import DoorWork, system_report
from tests.serve_app.conftest import FakeSystem, record
from tests.serve_app.faces.v1.predicting import PATH, post_raw, problem_in
from tests.serve_app.uploads import picture


async def test_the_system_says_what_its_models_are_asked(client: httpx.AsyncClient, system: FakeSystem) -> None:
    assert (await post_raw(client, picture())).status_code == 200
    assert (await client.post("/predictor/", files={"file": picture()})).status_code == 200
    system.fails_with = Overloaded("128 images wait")
    problem_in(await post_raw(client, picture()), 429)
    body = (await client.get("/v1/system")).json()
    assert (body["status"], body["redis"]) == ("ready", None)
    demo, other = body["models"]
    assert (demo["name"], demo["state"], demo["replicas"]) == ("benthic-demo", "ready", 1)
    assert demo["queues"] == ["image_queue_yolov5", "image_queue_detectron2"]
    assert (demo["answered"], demo["failed"], demo["in_work"]) == (2, 1, 0)
    assert demo["images_per_s"] == pytest.approx(2 / 60, abs=0.001)
    assert (demo["last_error"]["code"], demo["last_error"]["detail"]) == ("overloaded", "128 images wait")
    assert (other["answered"], other["last_error"]) == (0, None)
    assert body["uploads"] == {"held_bytes": 0, "limit_bytes": 400_000}


async def test_a_model_is_ready_where_a_request_would_be_answered(
    client: httpx.AsyncClient, system: FakeSystem
) -> None:
    answer = await client.get("/v1/models/image_queue_yolov5/ready")
    assert answer.json() == {"name": "benthic-demo", "state": "ready", "ready": True}
    system.records_now[1] = record("other", ModelState.ASLEEP)
    assert (await client.get("/v1/models/other/ready")).json()["state"] == "asleep"
    system.records_now[1] = record("other", ModelState.STARTING)
    answer = await client.get("/v1/models/other/ready")
    assert "model other is starting: ValueError: no such file" in problem_in(answer, 503)["detail"]
    assert answer.headers["retry-after"] == "5"
    system.records_now.append(record_of(ExternalWorker("image_queue_coral", reason="Redis is away")))
    assert "Redis is away" in problem_in(await client.get("/v1/models/image_queue_coral/ready"), 503)["detail"]
    problem_in(await client.get("/v1/models/nobody/ready"), 404)


@pytest.mark.parametrize("path", ["/livez", "/healthz", "/health", "/health/live"])
async def test_the_door_lives_whatever_models_do(client: httpx.AsyncClient, system: FakeSystem, path: str) -> None:
    system.records_now[0] = record("benthic-demo", ModelState.FAILED, required=True)
    answer = await client.get(path)
    assert (answer.status_code, list(answer.json())) == (200, ["status"])


async def test_ready_under_other_names(client: httpx.AsyncClient, system: FakeSystem) -> None:
    assert (await client.get("/readyz")).json() == (await client.get("/health/ready")).json()
    assert (await client.get("/q/health")).json() == {"status": "UP", "checks": []}
    system.records_now[0] = record("benthic-demo", ModelState.FAILED, required=True)
    for path, status in (("/readyz", "not ready"), ("/q/health", "DOWN")):
        answer = await client.get(path)
        assert (answer.status_code, answer.json()["status"]) == (503, status)


async def test_the_predict_path_names_its_method(client: httpx.AsyncClient) -> None:
    assert (await client.get(PATH)).headers["allow"] == "OPTIONS, POST"


@pytest.mark.parametrize(
    ("waiting", "shown"),
    [
        ({"b": 3, "a": 0}, [{"queue": "a", "waiting": 0}, {"queue": "b", "waiting": 3}]),
        ({}, []),
        (None, None),
    ],
)
def test_the_queues_of_redis_are_shown_with_their_jobs(waiting: dict[str, int] | None, shown: object) -> None:
    signs = Signs(gateway="bridge", gateway_reason="slow", waiting_jobs=waiting)
    report = system_report([], {}, signs, DoorWork(Activity(), ByteBudget(1, "memory")))
    assert report["redis"] == {"application": "bridge", "reason": "slow", "queues": shown}
