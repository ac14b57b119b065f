"""Requests to the roboflow face: what is read, and what is wrong with hostile ones."""

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest

from serve_app.bodies.json_bodies import MAX_VALUES
from tests.serve_app.access.guarded import access_for
from tests.serve_app.conftest import FakeSystem, record
from tests.serve_app.faces.roboflow.asking import DETECT, JSON, V0, image, message_in, post_v0, post_v1
from tests.serve_app.faces.v1.predicting import base64_of
from tests.serve_app.real_door import door_of
from tests.serve_app.uploads import picture

SENT_ALWAYS = {
    "api_key": "rf_1234",
    "disable_active_learning": False,
    "allow_reduced_mask_resolution": False,
    "source": "tests",
    "disable_preproc_auto_orient": True,
}


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ({"confidence": "0.3", "overlap": "0.6"}, (0.3, 0.6, None)),
        ({"confidence": "30", "overlap": "60", "max_detections": "7"}, (0.3, 0.6, 7)),
        ({"confidence": "1"}, (0.01, None, None)),
        ({"confidence": "default", "format": "json"}, (None, None, None)),
        (SENT_ALWAYS, (None, None, None)),
    ],
)
async def test_options_of_v0(
    client: httpx.AsyncClient, system: FakeSystem, query: dict[str, Any], expected: tuple[Any, ...]
) -> None:
    answer = await post_v0(client, **query)
    assert answer.status_code == 200, answer.text
    [(_, request)] = system.asked
    options = request.options
    assert (options.score_threshold, options.iou_threshold, options.max_detections) == expected


async def test_options_of_v1(client: httpx.AsyncClient, system: FakeSystem) -> None:
    members = {"confidence": 0.5, "iou_threshold": 0.4, "max_detections": 3, "class_filter": ["fixed answer A"]}
    always = {**SENT_ALWAYS, "visualize_predictions": False}
    answer = await post_v1(client, **always, **members)
    assert [row["class"] for row in answer.json()["predictions"]] == ["fixed answer A"]
    [(_, request)] = system.asked
    options = request.options
    assert (options.score_threshold, options.iou_threshold, options.max_detections) == (0.5, 0.4, 3)
    assert options.classes == ("fixed answer A",)
    nothing = dict.fromkeys((*members, "response_mask_format", "visualize_predictions"))
    assert len((await post_v1(client, **nothing)).json()["predictions"]) == 2


async def test_a_form_is_read_too(client: httpx.AsyncClient) -> None:
    answer = await client.post(V0, files={"file": ("a.png", picture())}, params={"api_key": "rf_1"})
    assert len(answer.json()["predictions"]) == 2


@pytest.mark.parametrize(
    "content_type", ["application/json", "application/x-www-form-urlencoded", "text/plain", "image/jpeg", ""]
)
async def test_the_body_of_v0_is_base64_whatever_it_is_called(client: httpx.AsyncClient, content_type: str) -> None:
    for text in (base64_of(picture()), f"data:image/png;base64,{base64_of(picture())}\n"):
        answer = await client.post(V0, content=text, headers={"content-type": content_type})
        assert answer.status_code == 200, answer.text


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({"confidence": "101"}, "confidence must be 0 to 1, or a percentage from 1 to 100, got 101"),
        ({"confidence": "-0.1"}, "confidence must be between 0 and 1, got -0.1"),
        ({"confidence": "best"}, "confidence must be a number such as 0.5, got 'best'"),
        ({"confidence": "inf"}, "confidence must be a number"),
        ({"overlap": "9" * 60}, "overlap must be a number"),
        ({"max_detections": "1001"}, "max_detections must be between 1 and 1000"),
        ({"max_detections": "2.5"}, "max_detections must be a whole number"),
        ({"format": "image"}, "format must be json"),
        ({"response_mask_format": "png"}, "response_mask_format must be polygon or rle"),
        ({"confidance": "0.5"}, "did you mean confidence?"),
        ({"image": "https://example.org/a.jpg"}, "unknown query parameter 'image'"),
        ({"stroke": "2"}, "unknown query parameter 'stroke'"),
        ({f"p{number}": "1" for number in range(40)}, "at most 32 parameters"),
    ],
)
async def test_what_is_wrong_with_a_query_is_named(
    client: httpx.AsyncClient, system: FakeSystem, query: dict[str, str], words: str
) -> None:
    assert words in message_in(await post_v0(client, **query), 422)
    assert system.asked == []


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "the body is empty"),
        (b"\xff\xd8\xff\xe0 a file", "the body must be an image in base64"),
        (b"no! base64", "the body is not valid base64"),
        (b"https://example.org/a.jpg", "this server fetches nothing"),
        (b"QUFB" * 100, "is not an image of a known format"),
    ],
)
async def test_what_is_wrong_with_a_body_of_v0_is_named(client: httpx.AsyncClient, body: bytes, words: str) -> None:
    assert words in message_in(await client.post(V0, content=body, headers=JSON), 422)


BASE64 = b'{"type": "base64", "value": "QUFB"}'


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "the body is not JSON"),
        (b"[]", "must be a JSON object"),
        (b'{"image": ' + BASE64 + b"}", "model_id must be text"),
        (b'{"model_id": ["a"], "image": ' + BASE64 + b"}", "model_id must be text"),
        (b'{"model_id": "other/1"}', 'image must be {"type": "base64"'),
        (b'{"model_id": "other/1", "image": "QUFB"}', 'image must be {"type": "base64"'),
        (b'{"model_id": "other/1", "image": {"type": "url", "value": "http://a"}}', "this server fetches nothing"),
        (b'{"model_id": "other/1", "image": {"type": "numpy", "value": "gASV"}}', "type must be base64, got 'numpy'"),
        (b'{"model_id": "other/1", "image": {"type": "base64", "value": 5}}', "image.value must be text"),
        (b'{"model_id": "other/1", "image": {"type": "base64", "value": ""}}', "image.value is empty"),
        (b'{"model_id": "other/1", "image": {"type": "base64", "value": "http://a/b"}}', "fetches nothing"),
        (b'{"model_id": "other/1", "image": []}', "a list of 1 to 32, got 0 of them"),
        (b'{"model_id": "other/1", "image": [' + b",".join([BASE64] * 33) + b"]}", "got 33 of them"),
        (b'{"model_id": "other/1", "image": [' + BASE64 + b', {"type": "base64"}]}', "image[1] must be"),
        (b'{"model_id": "other/1", "image": [[' + BASE64 + b"]]}", 'image must be {"type": "base64"'),
        (b'{"model_id": "other/1", "image": ' + b"[" * 70_000, "commas and opening brackets"),
        (b'{"model_id": "' + b"," * MAX_VALUES + b'"}', "commas and opening brackets"),
        (b'{"model_id": "other/1", "image": ' + BASE64 + b', "confidence": "0.5"}', "confidence must be a number"),
        (
            b'{"model_id": "other/1", "image": ' + BASE64 + b', "confidence": 40}',
            "confidence must be between 0 and 1",
        ),
        (b'{"model_id": "other/1", "image": ' + BASE64 + b', "confidence": true}', "confidence must be a number"),
        (b'{"model_id": "other/1", "image": ' + BASE64 + b', "class_filter": "Crab"}', "must be a list of labels"),
        (b'{"model_id": "other/1", "image": ' + BASE64 + b', "visualize_predictions": true}', "must be false"),
        (b'{"model_id": "other/1", "image": ' + BASE64 + b', "class_agnostic_nms": true}', "unknown member"),
    ],
)
async def test_what_is_wrong_with_a_body_of_v1_is_named(
    client: httpx.AsyncClient, system: FakeSystem, body: bytes, words: str
) -> None:
    assert words in message_in(await client.post(DETECT, content=body, headers=JSON), 422)
    assert system.asked == []


@pytest.mark.parametrize(
    ("model_id", "words"),
    [
        ("nobody/1", "no model and no queue is called 'nobody'"),
        ("other/2", "there is no 'other/2': each model has one version here, such as other/1"),
        ("other/1/1", "there is no 'other/1/1'"),
        ("x" * 5000, "no model and no queue is called"),
    ],
)
async def test_a_model_that_is_not_there_is_told(client: httpx.AsyncClient, model_id: str, words: str) -> None:
    said = message_in(await post_v1(client, model_id=model_id), 404)
    assert words in said
    assert len(said) < 500


async def test_errors_outside_of_the_endpoints_have_the_form_of_the_face(client: httpx.AsyncClient) -> None:
    assert message_in(await client.post("/roboflow/benthic-demo/2", content=b"QQ=="), 404) == (
        "POST /roboflow/benthic-demo/2: Not Found"
    )
    message_in(await client.get(DETECT), 405)
    message_in(await client.post("/model/v1/roboflow/nobody/1", content=b"QQ=="), 404)
    answer = await client.get("/v1/models/nobody")
    assert answer.headers["content-type"] == "application/problem+json"


async def test_an_option_without_use_is_refused_by_its_own_name(
    client: httpx.AsyncClient, system: FakeSystem
) -> None:
    system.records_now.append(record("classifier", family="yolov5-classify", weights="w.pt"))
    answer = await post_v0(client, "/roboflow/classifier/1", overlap="0.5")
    assert message_in(answer, 422).startswith("overlap has no effect: classifier answers class scores")


async def test_what_is_too_large_is_refused_and_memory_is_given_back(client: httpx.AsyncClient) -> None:
    message_in(await client.post(V0, content=b"Q" * 200_001), 413)
    wrong = image(b"no picture" * 2000)
    for _ in range(10):
        message_in(await post_v1(client, image=wrong), 422)
    answers = await asyncio.gather(*(post_v1(client) for _ in range(10)))
    assert {answer.status_code for answer in answers} == {200}


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ([("image", ("a.png", picture()))], "the image goes into the part 'file'"),
        ([("file", ("a.png", b""))], "no part 'file' with an image in it"),
        ([("file", ("a.png", picture())), ("file", ("b.png", picture()))], "two parts named 'file'"),
        ([("file", ("a.png", picture())), ("confidence", (None, b"0.5"))], "unknown field 'confidence'"),
    ],
)
async def test_what_is_wrong_with_a_form_is_named(
    client: httpx.AsyncClient, system: FakeSystem, parts: Any, words: str
) -> None:
    assert words in message_in(await client.post(V0, files=parts), 422)
    assert system.asked == []


@pytest.mark.parametrize(
    "body", [b"{}", b'{"model_id": 5}', b'{"model_id": ""}', b'{"model": "other/1"}', b"other/1"]
)
async def test_a_model_to_add_or_remove_must_be_named(client: httpx.AsyncClient, body: bytes) -> None:
    for path in ("/roboflow/model/add", "/roboflow/model/remove"):
        message_in(await client.post(path, content=body, headers=JSON), 422)


async def test_a_key_counts_in_a_header_and_in_the_query_and_not_in_a_body(
    system: FakeSystem, tmp_path: Path
) -> None:
    access, key = access_for(tmp_path / "keys.toml")
    transport = httpx.ASGITransport(door_of(system, tmp_path, access))
    async with httpx.AsyncClient(transport=transport, base_url="http://door") as door:
        bearer = {"authorization": f"Bearer {key}"}
        named = {"model_id": "benthic-demo/1", "api_key": key}
        assert (await door.post("/roboflow/model/add", json=named, headers=bearer)).status_code == 200
        assert (await post_v0(door, api_key=key)).status_code == 200
        assert "send it as 'Authorization: Bearer KEY'" in message_in(
            await door.post("/roboflow/model/add", json=named), 401
        )
        message_in(await post_v0(door, api_key="another"), 401)
        assert (await door.get("/roboflow/info")).json()["name"] == "FathomNet model server"
    if system.replica is not None:
        await system.replica.close()
