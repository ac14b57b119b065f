"""The legacy server's segmenting routes: masks, embeddings, and every way in which they say no."""

import json

import httpx
import pytest

from deployments.errors import DeadlineExceeded
from deployments.external import Task
from deployments.prediction import Opaque
from serve_app.faces.legacy.segmentation import SAM_QUEUE
from tests.serve_app.conftest import CountedAnswers, FakeSystem
from tests.serve_app.faces.legacy.external_workers import BOXES, OUTLINES, masks, post

pytestmark = pytest.mark.usefixtures("external_workers")

SAM_PATHS = ("/sam", "/sam_v2", "/sam_multi", "/sam_multi_v2", "/sam-embed", "/filet_predictor")


@pytest.mark.parametrize("prefix", ["", "/model/v1"])
@pytest.mark.parametrize("slash", ["", "/"])
@pytest.mark.parametrize(("path", "task"), [("/sam", Task.SEGMENT), ("/sam_v2", Task.SEGMENT_FILE)])
async def test_the_best_mask_is_answered(
    client: httpx.AsyncClient, system: FakeSystem, path: str, task: Task, slash: str, prefix: str
) -> None:
    system.external_answers = [masks(0.2, 0.95, 0.93, area=[1, 2, 3])]
    prompts = [{"x": 3, "y": 4}]
    answer = await post(client, f"{prefix}{path}{slash}", data=json.dumps(prompts))
    assert answer.status_code == 200, answer.text
    assert answer.json() == {
        "success": True,
        "predictions": [{"box": BOXES[1], "score": [0.2, 0.95, 0.93], "poly": OUTLINES[1], "area": [1, 2, 3]}],
    }
    [(queue, asked)] = system.asked_external
    assert (queue, asked.task, asked.prompts) == (SAM_QUEUE, task, prompts)


async def test_without_a_good_mask_the_first_of_the_best_is_answered(
    client: httpx.AsyncClient, system: FakeSystem
) -> None:
    system.external_answers = [masks(0.5, 0.7, 0.7)]
    answer = await post(client, "/sam/", data="{}")
    assert answer.json()["predictions"][0]["poly"] == OUTLINES[1]


@pytest.mark.parametrize(("path", "task"), [("/sam_multi/", Task.SEGMENT), ("/sam_multi_v2", Task.SEGMENT_FILE)])
async def test_all_masks_are_answered_as_they_came(
    client: httpx.AsyncClient, system: FakeSystem, path: str, task: Task
) -> None:
    system.external_answers = [masks(0.5, 0.7)]
    payload = system.external_answers[0].payload  # type: ignore[union-attr]
    answer = await post(client, path, data='{"points": []}')
    assert answer.content == b'{"success":true,"predictions":' + payload + b"}"
    assert system.asked_external[0][1].task is task


@pytest.mark.parametrize("path", ["/sam-embed/", "/sam-embed", "/model/v1/sam-embed/"])
async def test_an_embedding_is_answered_as_bytes(client: httpx.AsyncClient, system: FakeSystem, path: str) -> None:
    system.external_answers = [Opaque(b"\x93NUMPY\x00", SAM_QUEUE)]
    answer = await post(client, path)
    assert (answer.status_code, answer.content) == (200, b"\x93NUMPY\x00")
    assert answer.headers["content-type"] == "application/octet-stream"
    assert system.asked_external[0][1].task is Task.EMBED


@pytest.mark.parametrize("path", SAM_PATHS)
async def test_without_a_worker_nobody_waits(client: httpx.AsyncClient, system: FakeSystem, path: str) -> None:
    del system.records_now[-1]
    answer = await post(client, f"{path}/", data="[]")
    assert answer.status_code == 404
    assert answer.json()["detail"] == f"no external worker is known for queue {SAM_QUEUE}, which segments images"
    assert (answer.json()["success"], answer.json()["predictions"]) == (False, None)
    assert system.asked_external == []


@pytest.mark.parametrize("path", SAM_PATHS)
async def test_no_answer_of_the_worker_is_a_problem(client: httpx.AsyncClient, system: FakeSystem, path: str) -> None:
    system.external_answers = [DeadlineExceeded("the external worker did not answer within 5 s")]
    answer = await post(client, path, data="[]")
    assert answer.status_code == 504
    assert answer.json()["predictions"] is None


WRONG_ANSWERS = {
    "no list": b'{"box": []}',
    "nothing": b"[]",
    "no masks": b'[{"box": [], "score": [], "poly": []}]',
    "a member missing": b'[{"box": [{"w": 1, "h": 1}], "score": [0.5]}]',
    "different lengths": b'[{"box": [{"w": 1, "h": 1}], "score": [0.5, 0.6], "poly": [[[0, 0]], [[1, 1]]]}]',
    "scores of text": b'[{"box": [{"w": 1, "h": 1}], "score": ["0.5"], "poly": [[[0, 0]]]}]',
    "boxes without size": b'[{"box": [[1, 2, 3, 4]], "score": [0.5], "poly": [[[0, 0]]]}]',
}


@pytest.mark.parametrize("text", WRONG_ANSWERS.values(), ids=WRONG_ANSWERS.keys())
async def test_an_answer_without_masks_is_said_to_be_one(
    client: httpx.AsyncClient, system: FakeSystem, text: bytes
) -> None:
    system.external_answers = [Opaque(text, SAM_QUEUE)]
    answer = await post(client, "/sam/", data="[]")
    assert answer.status_code == 500
    assert f"the external worker of queue {SAM_QUEUE} must answer" in answer.json()["detail"]


async def test_prompts_must_be_json(client: httpx.AsyncClient, system: FakeSystem) -> None:
    answer = await post(client, "/sam/")
    assert answer.status_code == 422
    assert "field 'data' is missing" in answer.json()["detail"]
    answer = await post(client, "/sam_multi_v2/", data="[{x: 1}]")
    assert answer.status_code == 422
    assert "data must be JSON" in answer.json()["detail"]
    assert "[{x: 1}]" in answer.json()["detail"]
    answer = await client.post("/sam/", data={"data": "[]"})
    assert answer.status_code == 422
    assert system.asked_external == []


async def test_many_prompts_fit(client: httpx.AsyncClient, system: FakeSystem) -> None:
    prompts = [{"x": number, "y": number} for number in range(4000)]
    system.external_answers = [masks(0.5)]
    answer = await post(client, "/sam_multi/", data=json.dumps(prompts))
    assert answer.status_code == 200, answer.text
    assert system.asked_external[0][1].prompts == prompts


async def test_another_method_is_refused_in_the_form_of_the_legacy_routes(
    client: httpx.AsyncClient, counted: CountedAnswers
) -> None:
    answer = await client.get("/model/v1/sam/")
    assert answer.status_code == 405
    assert answer.json()["predictions"] is None
    assert counted.answers == [("/sam/", 405)]


async def test_each_route_is_counted_by_itself(
    client: httpx.AsyncClient, counted: CountedAnswers, system: FakeSystem
) -> None:
    system.external_answers = [masks(0.5)]
    await post(client, "/sam/", data="[]")
    assert counted.answers == [("/sam/", 200)]
