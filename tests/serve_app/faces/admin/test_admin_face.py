"""Models come and go over HTTP: who may, what is passed on, and how each outcome is answered."""

from collections.abc import AsyncIterator
from http import HTTPStatus
from pathlib import Path
from typing import Any

import httpx
import pytest

from deployments.errors import DeadlineExceeded, Overloaded, ServingError
from serve_app.faces.admin.changes import Changed
from serve_app.faces.admin.described import MAX_BLOCK_BYTES
from tests.serve_app.access.guarded import Guarded, bearer
from tests.serve_app.conftest import FakeSystem

YAML = {"Content-Type": "application/yaml"}


@pytest.fixture
def guarded(tmp_path: Path, system: FakeSystem) -> Guarded:
    return Guarded(tmp_path, system)


@pytest.fixture
async def door(guarded: Guarded) -> AsyncIterator[httpx.AsyncClient]:
    async with guarded.client() as http:
        http.headers.update(bearer(guarded.admin))
        yield http


async def test_a_block_is_passed_on_with_who_sent_it(door: httpx.AsyncClient, guarded: Guarded) -> None:
    sent = YAML | {"X-Request-ID": "change-1"}
    answer = await door.post("/v1/models", content="name: new # it's a näme\n", headers=sent)
    assert (answer.status_code, answer.headers["location"]) == (202, "models/new")
    assert answer.json() == {"model": "new", "state": "starting", "notes": ["image_queue_a stays with other"]}
    noted = {"key": "admin", "client": "127.0.0.1", "request": "change-1"}
    assert guarded.changes.wanted == [{"add": "name: new # it's a näme\n", "is_json": False, "noted": noted}]
    assert (await door.get("/v1/models/new")).status_code == 200


@pytest.mark.parametrize("media_type", ["application/json", "Application/JSON; charset=utf-8"])
async def test_json_is_told_apart(door: httpx.AsyncClient, guarded: Guarded, media_type: str) -> None:
    answer = await door.post("/v1/models", content='{"model": "new"}', headers={"Content-Type": media_type})
    assert answer.status_code == 202
    assert guarded.changes.wanted[0]["is_json"] is True


async def test_a_model_is_removed_by_its_name(door: httpx.AsyncClient, guarded: Guarded) -> None:
    answer = await door.delete("/v1/models/other%20one")
    assert (answer.status_code, answer.json()["state"]) == (202, "stopping")
    assert guarded.changes.wanted[0]["remove"] == "other one"


@pytest.mark.parametrize(
    ("outcome", "status", "code"),
    [
        (Changed(HTTPStatus.UNPROCESSABLE_ENTITY, problems=("a: is missing", "b: is wrong")), 422, "invalid-request"),
        (Changed(HTTPStatus.CONFLICT, problems=("new is running already",)), 409, "conflict"),
        (Changed(HTTPStatus.NOT_FOUND, problems=("new is not running",)), 404, "model-not-found"),
        (Changed(HTTPStatus.SERVICE_UNAVAILABLE, problems=("nothing answers",)), 503, "model-unavailable"),
        (Overloaded("another change is under way"), 429, "overloaded"),
        (DeadlineExceeded("not made in time"), 504, "deadline-exceeded"),
    ],
)
async def test_every_outcome_is_a_documented_problem(
    door: httpx.AsyncClient, guarded: Guarded, outcome: Changed | ServingError, status: int, code: str
) -> None:
    paths: dict[str, Any] = (await door.get("/openapi.json")).json()["paths"]
    for method, path in (("post", "/v1/models"), ("delete", "/v1/models/{model}")):
        guarded.changes.outcomes = [outcome]
        answer = await door.request(method, path.replace("{model}", "new"), headers=YAML, content="name: new")
        problem = answer.json()
        assert (answer.status_code, problem["status"], problem["code"]) == (status, status, code)
        if isinstance(outcome, Changed):
            assert problem["problems"] == list(outcome.problems)
            assert problem["detail"] == "; ".join(outcome.problems)
        assert ("retry-after" in answer.headers) is (status in (429, 503))
        if not (status == 404 and method == "post") and not (status == 422 and method == "delete"):
            assert str(status) in paths[path][method]["responses"]


@pytest.mark.parametrize(
    ("content", "media_type", "status"),
    [
        (b"name: new", "application/x-www-form-urlencoded", 415),
        (b"name: new", "", 415),
        (b"name: \xff", "application/yaml", 422),
        (b"#" * (MAX_BLOCK_BYTES + 1), "application/yaml", 413),
    ],
)
async def test_what_cannot_be_a_block_is_refused_at_once(
    door: httpx.AsyncClient, guarded: Guarded, content: bytes, media_type: str, status: int
) -> None:
    answer = await door.post("/v1/models", content=content, headers={"Content-Type": media_type})
    assert answer.status_code == status
    assert guarded.changes.wanted == []


async def test_a_server_without_keys_lets_nobody_change_its_models(client: httpx.AsyncClient) -> None:
    for method, path in (("POST", "/v1/models"), ("DELETE", "/v1/models/other")):
        answer = await client.request(method, path, headers=YAML | bearer("anything"), content="name: new")
        assert answer.status_code == 403
        assert "FATHOM_API_KEYS_FILE" in answer.json()["detail"]


async def test_all_methods_of_a_path_are_named(door: httpx.AsyncClient) -> None:
    for method, path, named in (
        ("OPTIONS", "/v1/models", "GET, HEAD, OPTIONS, POST"),
        ("PUT", "/v1/models", "GET, HEAD, OPTIONS, POST"),
        ("OPTIONS", "/v1/models/other", "DELETE, GET, HEAD, OPTIONS"),
    ):
        assert (await door.request(method, path)).headers["allow"] == named
