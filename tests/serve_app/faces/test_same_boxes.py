"""The same frame has the same animals in it, through whichever face it is asked."""

from base64 import b64encode
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import httpx
import pytest
from starlette.types import ASGIApp

from serve_app.faces.open_inference.grpc.limits import Limits
from serve_app.faces.table import FACES
from serve_app.known_faces import KNOWN_FACES
from serve_app.settings import DoorSettings
from tests.serve_app.faces.open_inference.grpc.asking import called, connected, infer_request, outputs_in, served
from tests.serve_app.faces.v1.predicting import base64_of
from tests.serve_app.uploads import picture

MODEL = "benthic-demo"
FILE = {"file": ("frame.png", picture(), "image/png")}

Animal = tuple[str, float, float, float, float, float]
"""Label, score, and the box as x1, y1, x2, y2 in pixels."""


async def through_legacy(client: httpx.AsyncClient) -> list[Animal]:
    answer = await client.post("/predictor/", files=FILE, data={"model_type": MODEL})
    return [(row["category_id"], row["scores"][0], *row["bbox"]) for row in found(answer)["predictions"]]


async def through_v1(client: httpx.AsyncClient) -> list[Animal]:
    answer = await client.post(f"/v1/models/{MODEL}/predict", files=FILE)
    [image] = found(answer)["images"]
    return [(one["label"], one["score"], *one["box"].values()) for one in image["detections"]]


async def through_roboflow(client: httpx.AsyncClient) -> list[Animal]:
    body = base64_of(picture())
    answer = await client.post(f"/roboflow/{MODEL}/1", content=body, headers={"content-type": "application/json"})
    return [
        (row["class"], row["confidence"], *corners_of(row["x"], row["y"], row["width"], row["height"]))
        for row in found(answer)["predictions"]
    ]


async def through_ultralytics(client: httpx.AsyncClient) -> list[Animal]:
    answer = await client.post(f"/ultralytics/{MODEL}/predict", files=FILE)
    [image] = found(answer)["images"]
    return [(row["name"], row["confidence"], *row["box"].values()) for row in image["results"]]


async def through_pythia(client: httpx.AsyncClient) -> list[Animal]:
    rows = found(await client.post("/pythia/predict", files=FILE))
    return [(row["concept"], row["probability"], *from_upper_left(row)) for row in rows]


async def through_fastapi_yolov5(client: httpx.AsyncClient) -> list[Animal]:
    rows = found(await client.post(f"/fastapi-yolov5/{MODEL}/", files=FILE))
    return [(row["class_name"], row["confidence"], *from_upper_left(row)) for row in rows]


def from_upper_left(row: Mapping[str, float]) -> tuple[float, float, float, float]:
    """The corners of a box."""
    return row["x"], row["y"], row["x"] + row["width"], row["y"] + row["height"]


def corners_of(x: float, y: float, width: float, height: float) -> tuple[float, float, float, float]:
    """Of a box that is given by its centre."""
    return x - width / 2, y - height / 2, x + width / 2, y + height / 2


async def through_cvat(client: httpx.AsyncClient) -> list[Animal]:
    call = {"image": b64encode(picture()).decode()}
    answer = await client.post("/api/function_invocations", json=call, headers={"x-nuclio-function-name": MODEL})
    return [(one["label"], float(one["confidence"]), *one["points"]) for one in found(answer)]


LABEL_CONFIG = """<View><Image name="image" value="$image"/><RectangleLabels name="label" toName="image">
    <Label value="fixed answer A"/><Label value="fixed answer B"/></RectangleLabels></View>"""


async def through_label_studio(client: httpx.AsyncClient) -> list[Animal]:
    task = {"id": 1, "data": {"image": f"data:image/png;base64,{b64encode(picture()).decode()}"}}
    body = {"tasks": [task], "label_config": LABEL_CONFIG}
    [found_in_it] = found(await client.post(f"/label-studio/{MODEL}/predict", json=body))["results"]
    return [_in_pixels(one) for one in found_in_it["result"]]


def _in_pixels(result: Mapping[str, Any]) -> Animal:
    width, height, value = result["original_width"] / 100, result["original_height"] / 100, result["value"]
    x1, y1 = value["x"] * width, value["y"] * height
    x2, y2 = x1 + value["width"] * width, y1 + value["height"] * height
    return value["rectanglelabels"][0], result["score"], x1, y1, x2, y2


async def through_open_inference(client: httpx.AsyncClient) -> list[Animal]:
    sent = {"name": "image", "shape": [1], "datatype": "BYTES", "data": [b64encode(picture()).decode()]}
    answer = await client.post(f"/v2/models/{MODEL}/infer", json={"inputs": [sent]})
    outputs = {one["name"]: one["data"] for one in found(answer)["outputs"]}
    flat = iter(outputs["boxes"])
    return [
        (*row[:2], *row[2])
        for row in zip(outputs["labels"], outputs["scores"], zip(*[flat] * 4, strict=True), strict=True)
    ]


async def through_grpc(api: ASGIApp) -> list[Animal]:
    async with served(api, Limits.of(DoorSettings())) as address, connected(address) as channel:
        outputs = outputs_in(await called(channel, "ModelInfer", infer_request()))
    rows = zip(outputs["labels"], outputs["scores"], outputs["boxes"].tolist(), strict=True)
    return [(label, score, *box) for label, score, box in rows]


THROUGH: Mapping[str, Callable[[httpx.AsyncClient], Awaitable[list[Animal]]]] = {
    "cvat": through_cvat,
    "label_studio": through_label_studio,
    "legacy": through_legacy,
    "pythia": through_pythia,
    "fastapi_yolov5": through_fastapi_yolov5,
    "roboflow": through_roboflow,
    "ultralytics": through_ultralytics,
    "open_inference": through_open_inference,
    "v1": through_v1,
}
"""A row for each face through which a model is asked."""

WITHOUT_BOXES = frozenset({"vss"})
"""Faces that answer something else: embeddings, which `vss/test_embed.py` compares with those of /v1."""

ROUNDED_TO: Mapping[str, float] = {}
"""Face -> how far a number may be from the model's, where its clients ask for rounded ones."""


def found(answer: httpx.Response) -> Any:
    assert answer.status_code == 200, answer.text
    return answer.json()


@pytest.mark.parametrize("face", THROUGH)
async def test_each_face_finds_what_the_model_found(face: str, client: httpx.AsyncClient) -> None:
    check(await THROUGH[face](client), ROUNDED_TO.get(face, 1e-4))


async def test_grpc_finds_what_the_model_found(api: ASGIApp) -> None:
    check(await through_grpc(api), 1e-4)


def check(animals: list[Animal], exactness: float) -> None:
    expected = [("fixed answer A", 0.9, 10, 10, 50, 30), ("fixed answer B", 0.6, 50, 25, 90, 45)]
    assert [animal[0] for animal in animals] == [animal[0] for animal in expected]
    for animal, right in zip(animals, expected, strict=True):
        assert animal[1:] == pytest.approx(right[1:], abs=exactness)


def test_every_face_for_a_tool_is_in_the_table_and_is_asked_here() -> None:
    assert tuple(sorted(FACES)) == KNOWN_FACES
    assert set(KNOWN_FACES) <= set(THROUGH) | WITHOUT_BOXES
