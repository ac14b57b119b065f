"""Calls that no CVAT sends: each is refused in Nuclio's form, and no model is asked."""

import base64
import json
from typing import Any

import httpx
import numpy as np
import pytest

from deployments.prediction import Detections, Embedding, Masks, Prediction
from serve_app.faces.cvat.call import MAX_VALUES
from tests.serve_app.conftest import FakeSystem, record
from tests.serve_app.faces.cvat.nuclio import HEADERS, invoke
from tests.serve_app.uploads import picture

IMAGE = base64.b64encode(picture()).decode()


def refused(answer: httpx.Response, status: int, words: str) -> None:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()
    assert words in body["error"]
    assert body["error"] == body["detail"]


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "the body is not JSON"),
        (b"\x00" * 100, "the body is not JSON"),
        (b"null", "must be a JSON object"),
        (b'[{"image": "QQ=="}]', "must be a JSON object"),
        (b'{"image": "\xff\xfe"}', "the body is not JSON"),
        (b'{"image": "\\ud800"}', "the body is not JSON"),
        (b'{"image": ' + b"[" * 60, "the body is not JSON"),
        (b"[" * 100_000, f"more than {MAX_VALUES} commas"),
        (b'{"image": "' + b"," * 10_000 + b'"}', f"more than {MAX_VALUES} commas"),
        (b"{}", "image must be the image file as base64, got nothing"),
        (b'{"image": null}', "got nothing"),
        (b'{"image": 5}', "got '5'"),
        (b'{"image": ["QQ=="]}', "image must be the image file as base64"),
        (b'{"image": ""}', "image is empty"),
        (b'{"image": "A.A="}', "image is not valid base64: '.' at character 1"),
        (b'{"image": "data:image/png,abc"}', "a data URI without ;base64"),
        (b'{"image": "QQ==", "threshold": "0.5"}', "threshold must be a number between 0 and 1, got '0.5'"),
        (b'{"image": "QQ==", "threshold": true}', "threshold must be a number"),
        (b'{"image": "QQ==", "threshold": 1.5}', "got '1.5'"),
        (b'{"image": "QQ==", "threshold": -1e300}', "threshold must be a number"),
        (b'{"image": "QQ==", "threshold": NaN}', "the body is not JSON"),
        (b'{"image": "QQ==", "threshold": [0.5]}', "threshold must be a number"),
        (b'{"image": "QQ==", "tresholds": 1}', "did you mean threshold?"),
        (
            b'{"image": "QQ==", "pos_points": [[1, 2]], "neg_points": []}',
            "unknown member 'pos_points' for a detector",
        ),
    ],
)
async def test_a_body_that_is_wrong_is_refused(
    client: httpx.AsyncClient, system: FakeSystem, body: bytes, words: str
) -> None:
    refused(await invoke(client, "benthic-demo", body), 422, words)
    assert system.asked == []


@pytest.mark.parametrize(
    ("function", "status", "words"),
    [
        ("", 422, "the header x-nuclio-function-name is missing"),
        ("no-such-model", 404, "no model and no queue is called"),
        ("../v1/models", 404, "no model and no queue is called"),
        ("x" * 5000, 404, "no model and no queue is called"),
    ],
)
async def test_a_function_that_is_not_there_is_refused(
    client: httpx.AsyncClient, system: FakeSystem, function: str, status: int, words: str
) -> None:
    refused(await invoke(client, function, {"image": IMAGE}), status, words)
    assert system.asked == []


async def test_a_call_without_any_header_of_nuclio_is_refused(client: httpx.AsyncClient) -> None:
    answer = await client.post("/api/function_invocations", content=json.dumps({"image": IMAGE}))
    refused(answer, 422, "x-nuclio-function-name is missing")


async def test_what_is_no_image_is_refused_by_the_model(client: httpx.AsyncClient) -> None:
    refused(await invoke(client, "benthic-demo", {"image": "QUJD"}), 422, "image")


async def test_a_body_over_the_limit_is_refused(client: httpx.AsyncClient) -> None:
    refused(await invoke(client, "benthic-demo", {"image": "A" * 200_001}), 413, "the limit is 200000")


async def test_a_compressed_body_is_refused(client: httpx.AsyncClient) -> None:
    headers = {**HEADERS, "x-nuclio-function-name": "benthic-demo", "Content-Encoding": "gzip"}
    refused(await client.post("/api/function_invocations", content=b"x", headers=headers), 415, "without compression")


async def test_a_body_that_would_take_too_much_memory_is_refused(client: httpx.AsyncClient) -> None:
    """One escaped character makes each of the text's characters four bytes wide."""
    body = b'{"image": "\\u4e00' + b"A" * 190_000 + b'"}'
    refused(await invoke(client, "benthic-demo", body), 413, "bytes of memory for uploads, the limit is 400000")


async def test_masks_that_would_take_too_much_memory_are_refused(
    client: httpx.AsyncClient, system: FakeSystem
) -> None:
    """Of a frame of 4K, where the door may hold 400,000 bytes."""
    whole = np.ones((9, 16), bool)
    box, score = np.array([[0, 0, 3840, 2160]], np.float32), np.ones(1, np.float32)
    found = Detections(box, score, np.zeros(1, np.int32), ("Crab",), Masks.of(1, lambda index: whole, whole.shape))
    system.fails_with = Prediction(found, (2160, 3840), "benthic-demo", "1")
    refused(await invoke(client, "benthic-demo", {"image": IMAGE}), 413, "bytes of memory for uploads")


async def test_an_embedding_is_no_annotation(client: httpx.AsyncClient, system: FakeSystem) -> None:
    system.records_now = [record("a-folder", family="huggingface", labels=["reef"])]
    system.fails_with = Prediction(Embedding(np.zeros(3, np.float32)), (50, 100), "a-folder", "1")
    refused(await invoke(client, "a-folder", {"image": IMAGE}), 422, "answers an embedding")
