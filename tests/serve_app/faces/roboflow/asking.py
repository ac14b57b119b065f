"""Requests as `inference-sdk` sends them, and the error in an answer."""

from typing import Any

import httpx

from tests.serve_app.faces.v1.predicting import base64_of
from tests.serve_app.uploads import picture

V0 = "/roboflow/benthic-demo/1"
DETECT = "/roboflow/infer/object_detection"
CLASSIFY = "/roboflow/infer/classification"
SEGMENT = "/roboflow/infer/instance_segmentation"
JSON = {"content-type": "application/json"}


def image(content: bytes | None = None) -> dict[str, str]:
    return {"type": "base64", "value": base64_of(picture() if content is None else content)}


async def post_v0(client: httpx.AsyncClient, path: str = V0, **query: Any) -> httpx.Response:
    """With the content type that the SDK has for all that it sends."""
    return await client.post(path, content=base64_of(picture()), headers=JSON, params=query)


async def post_v1(client: httpx.AsyncClient, path: str = DETECT, **members: Any) -> httpx.Response:
    return await client.post(path, json={"model_id": "benthic-demo/1", "image": image(), **members})


def message_in(answer: httpx.Response, status: int) -> str:
    """Where the SDK looks for what is wrong."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    assert body["status"] == status
    assert body["message"] == body["detail"]
    message: str = body["message"]
    return message
