"""Requests to `/v1` as programs send them, answers of every kind of model, and the problem in an answer."""

import base64
from typing import Any

import httpx
import numpy as np

from deployments.prediction import ClassScores, Detections, Embedding, Masks, Prediction, Result
from tests.serve_app.uploads import picture

PATH = "/v1/models/benthic-demo/predict"
OTHER = "/v1/models/other/predict"
SIZE_PX = (50, 100)
"""Height and width of `picture()`."""


def base64_of(content: bytes) -> str:
    return base64.b64encode(content).decode()


def images(*contents: bytes, part: str = "image") -> list[tuple[str, tuple[str, bytes]]]:
    return [(part, (f"frame-{number}.png", content)) for number, content in enumerate(contents)]


async def post_form(client: httpx.AsyncClient, *contents: bytes, path: str = PATH, **fields: Any) -> httpx.Response:
    return await client.post(path, files=images(*(contents or (picture(),))), data=fields)


async def post_raw(client: httpx.AsyncClient, content: bytes, path: str = PATH, **query: Any) -> httpx.Response:
    return await client.post(path, content=content, headers={"content-type": "image/png"}, params=query)


async def post_json(client: httpx.AsyncClient, path: str = PATH, **members: Any) -> httpx.Response:
    return await client.post(path, json={"image": base64_of(picture()), **members})


def problem_in(answer: httpx.Response, status: int) -> dict[str, Any]:
    """The problem document that the answer must be, without members of the legacy face."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()
    assert body["status"] == status
    assert body["detail"]
    assert set(body) <= {"type", "title", "status", "detail", "code"}
    return body


def prediction(result: Result, model: str = "benthic-demo", revision: str = "1") -> Prediction:
    return Prediction(result, SIZE_PX, model, revision)


def two_animals() -> Detections:
    """With masks, keypoints and corners."""
    square = np.zeros((25, 50), bool)
    square[5:15, 10:30] = True
    masks = [square, np.zeros_like(square)]
    return Detections(
        boxes=np.array([[20, 10, 60, 30], [0, 0, 8, 4]], np.float32),
        scores=np.array([0.75, 0.5], np.float32),
        class_ids=np.array([3, 1], np.int32),
        labels=("Crab", "Fish"),
        masks=Masks.of(2, masks.__getitem__, square.shape),
        keypoints=np.array([[[21, 11, 0.5]], [[1, 2, 0.25]]], np.float32),
        corners=np.array([[[20, 10], [60, 10], [60, 30], [20, 30]]] * 2, np.float32),
    )


SCORES = ClassScores(np.array([0.25, 0.5, 0.125], np.float32), ("copepod", "diatom", "other"))
EMBEDDING = Embedding(np.array([0.5, -0.25, 0.1], np.float32))
