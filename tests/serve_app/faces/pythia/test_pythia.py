"""The pythia face: `/predict` and `/q/health` of the default model."""

import httpx
import pytest

from deployments.catalogue import ModelState
from tests.serve_app.conftest import FakeSystem, record
from tests.serve_app.faces.forms import FILE, refused_alike
from tests.serve_app.faces.v1.predicting import EMBEDDING, SCORES, prediction, problem_in, two_animals

PATH = "/pythia/predict"
HEALTH = "/pythia/q/health"


def message_in(answer: httpx.Response, status: int) -> str:
    detail: str = problem_in(answer, status)["detail"]
    return detail


@pytest.mark.parametrize("path", [PATH, f"{PATH}/"])
async def test_boxes_have_their_upper_left_corner(client: httpx.AsyncClient, system: FakeSystem, path: str) -> None:
    system.fails_with = prediction(two_animals())
    answer = await client.post(path, files=FILE)
    assert answer.json() == [
        {"concept": "Crab", "x": 20, "y": 10, "width": 40, "height": 20, "probability": 0.75},
        {"concept": "Fish", "x": 0, "y": 0, "width": 8, "height": 4, "probability": 0.5},
    ]
    assert [model for model, _ in system.asked] == ["benthic-demo"]


async def test_only_boxes_have_words_here(client: httpx.AsyncClient, system: FakeSystem) -> None:
    for result in (SCORES, EMBEDDING):
        system.fails_with = prediction(result)
        answer = await client.post(PATH, files=FILE)
        assert f"answers {result.what}, which this protocol has no words for" in message_in(answer, 422)


async def test_hostile_forms_are_refused(client: httpx.AsyncClient, system: FakeSystem) -> None:
    assert await refused_alike(client, PATH, message_in) >= 10
    assert {model for model, _ in system.asked} == {"benthic-demo"}


async def test_health_is_that_of_the_default_model(client: httpx.AsyncClient, system: FakeSystem) -> None:
    answer = await client.get(HEALTH)
    up = {"status": "UP", "checks": [{"name": "benthic-demo", "status": "UP"}]}
    assert (answer.status_code, answer.json()) == (200, up)
    system.records_now = [record("benthic-demo", ModelState.FAILED)]
    down = {"status": "DOWN", "checks": [{"name": "benthic-demo", "status": "DOWN"}]}
    answer = await client.get(HEALTH)
    assert (answer.status_code, answer.json()) == (503, down)
    system.records_now = []
    answer = await client.get(HEALTH)
    assert (answer.status_code, answer.json()["checks"]) == (503, [{"name": "default model", "status": "DOWN"}])
    assert "'benthic-demo'" in message_in(await client.post(PATH, files=FILE), 404)
