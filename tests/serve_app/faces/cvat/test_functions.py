"""The models as CVAT sees them in the list of its AI tools."""

import httpx
import pytest

from deployments.catalogue import ModelState
from deployments.external import ExternalWorker, record_of
from tests.serve_app.conftest import FakeSystem, record
from tests.serve_app.faces.cvat.nuclio import labels_of, listed


async def test_each_model_is_a_function_with_its_labels(client: httpx.AsyncClient, system: FakeSystem) -> None:
    system.records_now = [record("demo", labels=["Crab", "Fish"], description="Finds crabs", licence="CC-BY-4.0")]
    functions = await listed(client)
    assert list(functions) == ["demo"]
    function = functions["demo"]
    assert function["metadata"]["name"] == function["metadata"]["annotations"]["name"] == "demo"
    assert function["spec"] == {"description": "Finds crabs"}
    assert function["status"] == {"state": "ready"}
    assert labels_of(function) == [("Crab", "unknown"), ("Fish", "unknown")]
    assert (await client.get("/api/functions/demo")).json() == function


async def test_a_classifier_has_tags(client: httpx.AsyncClient, system: FakeSystem) -> None:
    system.records_now = [
        record("a-classifier", family="ultralytics-classify", labels=["copepod", "diatom"]),
        record("a-folder", family="huggingface", labels=["reef"]),
    ]
    functions = await listed(client)
    assert labels_of(functions["a-classifier"]) == [("copepod", "tag"), ("diatom", "tag")]
    assert labels_of(functions["a-folder"]) == [("reef", "tag")]


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("an-embedder", "answers an embedding"),
        ("a-folder", "answers class scores or an embedding"),
        ("image_queue_sam", "runs elsewhere"),
        ("no-such-model", "no model and no queue is called 'no-such-model'"),
    ],
)
async def test_what_cvat_has_no_annotation_for_is_no_function(
    client: httpx.AsyncClient, system: FakeSystem, name: str, words: str
) -> None:
    system.records_now = [
        record("an-embedder", family="huggingface", parameters={"answer": "embedding"}),
        record("a-folder", family="huggingface"),
        record_of(ExternalWorker("image_queue_sam")),
    ]
    assert await listed(client) == {}
    answer = await client.get(f"/api/functions/{name}")
    assert answer.status_code == 404
    assert words in answer.json()["error"]
    assert answer.json()["error"] == answer.json()["detail"]


async def test_the_description_says_what_keeps_cvat_from_using_it(
    client: httpx.AsyncClient, system: FakeSystem
) -> None:
    system.records_now = [
        record("failed", ModelState.FAILED, labels=["Crab"], description="Finds crabs"),
        record("starting", ModelState.STARTING, labels=["Crab"]),
        record("asleep", ModelState.ASLEEP, labels=["Crab"]),
        record("without-labels"),
    ]
    functions = await listed(client)
    said = {name: (one["status"]["state"], one["spec"]["description"]) for name, one in functions.items()}
    assert said["failed"] == ("error", "Finds crabs. model failed is failed: ValueError: no such file")
    assert said["starting"][0] == "building"
    assert said["asleep"] == ("ready", "")
    assert "its labels are not known to this server" in said["without-labels"][1]
    assert labels_of(functions["without-labels"]) == []


async def test_other_paths_of_nuclio_answer_in_its_form(client: httpx.AsyncClient) -> None:
    for method, path, status in (("GET", "/api/projects", 404), ("POST", "/api/functions", 405)):
        answer = await client.request(method, path)
        assert answer.status_code == status
        assert answer.json()["error"]
