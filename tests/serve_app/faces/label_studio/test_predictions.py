"""Label Studio's requests in their order: is it there, does it suit the project, what is in these images."""

import logging
from base64 import urlsafe_b64encode

import httpx
import pytest

from deployments.catalogue import ModelState
from deployments.errors import DeadlineExceeded
from deployments.external import ExternalWorker, record_of
from serve_app.faces.label_studio.messages import MAX_TASKS
from serve_app.known_faces import DEFAULT_FACES, KNOWN_FACES
from tests.serve_app.conftest import FakeSystem, record
from tests.serve_app.faces.label_studio.asking import (
    DATA_URI,
    MODEL,
    config_of,
    refusal_of,
    request_of,
    results_of,
    setup_of,
    tag,
)
from tests.serve_app.uploads import picture
from tests.support.image_host import ImageHost, image_host, redirect, reply

TOKEN = "abcdef0123"


@pytest.mark.parametrize("path", ["", "/", "/health"])
async def test_health(path: str, client: httpx.AsyncClient, system: FakeSystem) -> None:
    answer = await client.get(MODEL + path)
    assert (answer.status_code, answer.json()) == (200, {"status": "UP", "model_class": "benthic-demo"})
    system.records_now = [record("benthic-demo", ModelState.FAILED)]
    answer = await client.get(MODEL + path)
    assert (answer.status_code, answer.json()["error"]) == (
        503,
        "model benthic-demo is failed: ValueError: no such file",
    )
    assert (await client.get(f"/label-studio/unknown{path}")).status_code == 404


async def test_versions(client: httpx.AsyncClient) -> None:
    assert (await client.get(f"{MODEL}/versions")).json() == {"versions": ["benthic-demo@1"]}


async def test_setup_answers_the_version_that_predictions_have(client: httpx.AsyncClient) -> None:
    answer = await client.post(f"{MODEL}/setup", json=setup_of())
    assert (answer.status_code, answer.json()) == (200, {"model_version": "benthic-demo@1"})
    predicted = (await client.post(f"{MODEL}/predict", json=request_of())).json()
    assert {predicted["model_version"], predicted["results"][0]["model_version"]} == {"benthic-demo@1"}


async def test_setup_refuses_labels_that_the_model_lacks_and_says_so_in_the_log(
    client: httpx.AsyncClient, system: FakeSystem, caplog: pytest.LogCaptureFixture
) -> None:
    system.records_now = [record("benthic-demo", labels=["Crab", "Fish"])]
    with caplog.at_level(logging.WARNING):
        sentence = await refusal_of(client, "/setup", setup_of())
    assert sentence == (
        "no label of the labelling configuration is one of benthic-demo, which has 'Crab', 'Fish'; name its labels "
        'in predicted_values="..." of yours'
    )
    assert f"Label Studio was refused for benthic-demo: {sentence}" in caplog.text
    assert (
        await client.post(f"{MODEL}/setup", json=setup_of(config_of(tag("BrushLabels", "crab"))))
    ).status_code == 200


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"extra_params": {"score": 1}}, "extra_params have no effect here"),
        ({"shema": "<View/>"}, "unknown member 'shema'; did you mean schema?"),
        ({"hostname": 7}, "hostname must be text"),
        ({"hostname": "localhost:8080"}, "hostname: an address begins with http"),
        ({"hostname": "http://a:b@localhost"}, "hostname: an address must not have a user name"),
        ({"access_token": "a\r\nX-Evil: 1"}, "access_token must be plain ASCII"),
        ({"access_token": "ä"}, "access_token must be plain ASCII"),
        ({"access_token": "a" * 1001}, "access_token must be text of at most 1000 characters"),
        ({"project": ["1"]}, "project must be text"),
        ({"project": "1" * 101}, "project must be text of at most 100 characters"),
        ({"schema": "<View/>"}, "schema has no tag that a model can fill"),
    ],
)
async def test_setup_refuses_what_it_cannot_use(change: object, reason: str, client: httpx.AsyncClient) -> None:
    assert reason in await refusal_of(client, "/setup", {**setup_of(), **change})  # type: ignore[dict-item]


async def test_an_image_on_the_web_and_one_in_the_task(client: httpx.AsyncClient, host: ImageHost) -> None:
    answer = await client.post(f"{MODEL}/predict", json=request_of(f"{host.url}/frame.png", DATA_URI))
    first, second = answer.json()["results"]
    values = [[one["value"] for one in entry["result"]] for entry in (first, second)]
    assert values[0] == values[1]
    assert [value["rectanglelabels"] for value in values[0]] == [["Fixed answer A"], ["B"]]
    assert "authorization" not in host.headers_of("/frame.png")


async def test_a_file_in_the_cloud_is_presigned_by_label_studio(client: httpx.AsyncClient, host: ImageHost) -> None:
    uri = "s3://dive/7 frame?.png"
    presigned = f"/below/tasks/1/presign/?fileuri={urlsafe_b64encode(uri.encode()).decode()}"
    async with image_host() as cloud:
        cloud.answers["/bucket/frame.png?X-Amz-Signature=1"] = reply(picture())
        host.answers[presigned] = redirect(f"{cloud.url}/bucket/frame.png?X-Amz-Signature=1")
        body = request_of(uri, hostname=f"{host.url}/below/", access_token=TOKEN)
        sentence = await refusal_of(client, "/predict", body)
        assert f"127.0.0.1:{cloud.port} is not among the hosts" in sentence
        assert host.headers_of(presigned)["authorization"] == f"Token {TOKEN}"
        host.answers[presigned] = redirect("/frame.png")
        assert len(await results_of(client, body)) == 2
        without_number = {**body, "tasks": [{"id": "1", "data": {"image": uri}}]}
        assert "must be its number, got '1'" in await refusal_of(client, "/predict", without_number)


async def test_one_task_fails_alone(
    client: httpx.AsyncClient, host: ImageHost, caplog: pytest.LogCaptureFixture
) -> None:
    images = [DATA_URI, f"{host.url}/gone.png", "ftp://bucket/a.png", DATA_URI]
    with caplog.at_level(logging.WARNING):
        answer = await client.post(f"{MODEL}/predict", json=request_of(*images))
    assert answer.status_code == 200
    results = answer.json()["results"]
    assert ["result" in one for one in results] == [True, False, False, True]
    assert results[1]["error"] == f"127.0.0.1:{host.port} answered 404 and no image"
    assert "must be http(s)://" in results[2]["error"]
    assert results[1]["error"] in caplog.text


async def test_where_all_tasks_fail_the_problem_says_which_one_it_tells_of(client: httpx.AsyncClient) -> None:
    told = await refusal_of(client, "/predict", request_of("ftp://bucket/a.png", "data:image/png;base64,"))
    assert told.startswith("task 1 of 2: data.image must be http(s)://")


@pytest.mark.parametrize(
    ("image", "reason"),
    [
        (None, "data.image must be the image's address, got 'None'"),
        ("", "data.image must be the image's address"),
        (["a.png"], "data.image must be the image's address"),
        (
            "frame.png",
            "must be http(s)://, a path of Label Studio, a data URI, s3:, gs: or azure-blob:, got 'frame.png'",
        ),
        ("file:///etc/passwd", "must be http(s)://"),
        ("data:image/png;base64,", "data.image is empty"),
        ("data:image/png,abc", "data.image is a data URI without ;base64"),
        ("data:image/png;base64,???", "data.image is not valid base64"),
        ("http://localhost/a.png", "is not among the hosts"),
        ("http://2130706433/a.png", "four decimal numbers"),
    ],
)
async def test_a_task_without_an_image_that_can_be_read(image: str, reason: str, client: httpx.AsyncClient) -> None:
    assert reason in await refusal_of(client, "/predict", request_of(image))


async def test_errors_of_the_model_have_their_status(client: httpx.AsyncClient, system: FakeSystem) -> None:
    system.fails_with = DeadlineExceeded("too slow")
    assert await refusal_of(client, "/predict", request_of(DATA_URI, DATA_URI), 504) == "too slow"
    assert await refusal_of(client, "/../unknown/predict", request_of(), 404)


async def test_an_external_model_is_refused(client: httpx.AsyncClient, system: FakeSystem) -> None:
    system.records_now = [record_of(ExternalWorker("image_queue_coral"))]
    answer = await client.post("/label-studio/image_queue_coral/setup", json=setup_of())
    assert (answer.status_code, "runs elsewhere" in answer.json()["error"]) == (422, True)


async def test_events_of_a_project_are_noted(client: httpx.AsyncClient) -> None:
    for action in ("ANNOTATION_CREATED", "START_TRAINING"):
        answer = await client.post(f"{MODEL}/webhook", json={"action": action, "project": {"id": 1}})
        assert (answer.status_code, answer.json()["status"]) == (201, "ok")
    assert "action must say what happened" in await refusal_of(client, "/webhook", {"project": {}})


async def test_as_many_tasks_as_are_allowed_are_answered(client: httpx.AsyncClient) -> None:
    answer = await client.post(f"{MODEL}/predict", json=request_of(*[DATA_URI] * MAX_TASKS))
    assert answer.status_code == 200
    assert [len(entry["result"]) for entry in answer.json()["results"]] == [2] * MAX_TASKS


def test_the_face_is_mounted_only_where_it_is_named() -> None:
    assert "label_studio" in KNOWN_FACES
    assert "label_studio" not in DEFAULT_FACES
