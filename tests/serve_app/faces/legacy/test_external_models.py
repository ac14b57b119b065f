"""Models that run elsewhere, behind the predict endpoint and in the listing."""

import httpx
import pytest

from deployments.errors import DeadlineExceeded, ModelNotFound, ModelUnavailable, Overloaded, ServingError
from deployments.external import ExternalWorker, Task, no_external_workers, record_of
from deployments.prediction import Opaque
from tests.serve_app.conftest import FakeSystem
from tests.serve_app.faces.legacy.external_workers import CORAL, frame, post

pytestmark = pytest.mark.usefixtures("external_workers")


async def test_a_queue_of_an_external_worker_is_a_model_type(client: httpx.AsyncClient, system: FakeSystem) -> None:
    text = b'{"bboxes": [[1, 2, 3, 4]],  "confidences": [0.5]}'
    system.external_answers = [Opaque(text, CORAL)]
    answer = await post(client, "/predictor/", model_type=CORAL)
    assert answer.status_code == 200
    assert answer.content == b'{"success":true,"predictions":' + text + b"}"
    [(queue, asked)] = system.asked_external
    assert (queue, asked.task, asked.deadline_s) == (CORAL, Task.PREDICT, 5)
    assert asked.image.encoded is not None
    assert asked.image.encoded.tobytes() == frame()
    assert system.asked == []


@pytest.mark.parametrize("path", ["/predictor/", "/filet_predictor/"])
@pytest.mark.parametrize(
    "option",
    [
        {"score_threshold": "0.5"},
        {"iou_threshold": "0.5"},
        {"max_detections": "5"},
        {"classes": "coral"},
        {"tiling": "off"},
        {"tiling_overlap": "0.1"},
    ],
    ids=lambda option: next(iter(option)),
)
async def test_an_option_that_a_worker_elsewhere_does_not_know_is_refused(
    client: httpx.AsyncClient, system: FakeSystem, path: str, option: dict[str, str]
) -> None:
    answer = await post(client, path, model_type=CORAL, **option)
    assert answer.status_code == 422
    assert next(iter(option)) in answer.json()["detail"]
    assert CORAL in answer.json()["detail"]
    assert system.asked_external == []


async def test_an_empty_option_asks_nothing_of_a_worker_elsewhere(
    client: httpx.AsyncClient, system: FakeSystem
) -> None:
    system.external_answers = [Opaque(b"[]", CORAL)]
    assert (await post(client, "/predictor/", model_type=CORAL, classes="")).status_code == 200


async def test_it_is_listed_as_external(client: httpx.AsyncClient) -> None:
    models = (await client.get("/v1/models")).json()["models"]
    assert [(model["name"], model["external"]) for model in models if model["name"] in (CORAL, "benthic-demo")] == [
        ("benthic-demo", False),
        (CORAL, True),
    ]
    one = (await client.get(f"/v1/models/{CORAL}")).json()
    assert (one["family"], one["queues"], one["state"]) == ("external", [CORAL], "ready")
    assert (one["description"], one["knobs"]) == ("corals, by hand", None)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (DeadlineExceeded("the external worker of queue q did not answer within 25 s"), 504),
        (ModelUnavailable("the queues cannot be reached"), 503),
        (Overloaded("64 jobs wait"), 429),
    ],
)
async def test_no_answer_is_a_problem(
    client: httpx.AsyncClient, system: FakeSystem, error: ServingError, status: int
) -> None:
    system.external_answers = [error]
    answer = await post(client, "/predictor", model_type=CORAL)
    assert answer.status_code == status
    assert (answer.json()["predictions"], answer.json()["detail"]) == (None, error.message)


async def test_while_the_queues_are_away_nobody_waits(client: httpx.AsyncClient, system: FakeSystem) -> None:
    system.records_now[-2] = record_of(ExternalWorker(CORAL, "", "the queues cannot be reached"))
    answer = await post(client, "/predictor/", model_type=CORAL)
    assert answer.status_code == 503
    assert "the queues cannot be reached" in answer.json()["detail"]
    assert (await client.get("/health/ready")).json()["degraded"] == [
        {"model": CORAL, "state": "unhealthy", "reason": "the queues cannot be reached"}
    ]


async def test_a_system_without_external_workers_says_so() -> None:
    assert isinstance(await no_external_workers("q", None), ModelNotFound)  # type: ignore[arg-type]
