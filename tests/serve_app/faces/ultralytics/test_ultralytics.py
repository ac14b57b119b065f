"""The Ultralytics face: its fields, the rows of each kind of model, and what is wrong with hostile forms."""

from typing import Any

import httpx
import numpy as np
import pytest

from deployments.prediction import ClassScores, Detections
from tests.serve_app.conftest import FakeSystem, record
from tests.serve_app.faces.forms import FILE, refused_alike
from tests.serve_app.faces.v1.predicting import EMBEDDING, prediction, two_animals

PATH = "/ultralytics/benthic-demo/predict"


async def post(client: httpx.AsyncClient, path: str = PATH, **fields: Any) -> httpx.Response:
    return await client.post(path, files=FILE, data=fields)


async def rows(client: httpx.AsyncClient, **fields: Any) -> list[dict[str, Any]]:
    answer = await post(client, **fields)
    assert answer.status_code == 200, answer.text
    [image] = answer.json()["images"]
    assert image["shape"] == [50, 100]
    found: list[dict[str, Any]] = image["results"]
    return found


def message_in(answer: httpx.Response, status: int) -> str:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert body["error"] == body["detail"]
    message: str = body["error"]
    return message


def boxes_only(**beside: Any) -> Detections:
    whole = two_animals()
    return Detections(whole.boxes, whole.scores, whole.class_ids, whole.labels, **beside)


async def test_fields_as_the_examples_send_them(client: httpx.AsyncClient, system: FakeSystem) -> None:
    found = await rows(client, conf="0.25", iou="0.7", imgsz="640", vid_stride="1", normalize="False")
    assert [row["name"] for row in found] == ["fixed answer A", "fixed answer B"]
    assert found[0] == {
        "name": "fixed answer A",
        "class": 0,
        "confidence": 0.9,
        "box": {"x1": 10.0, "y1": 10.0, "x2": 50.0, "y2": 30.0},
    }
    [(_, request)] = system.asked
    assert (request.options.score_threshold, request.options.iou_threshold) == (0.25, 0.7)


async def test_fields_may_stand_in_the_query(client: httpx.AsyncClient, system: FakeSystem) -> None:
    assert (await client.post(PATH, files=FILE, params={"conf": 0.7})).status_code == 200
    assert system.asked[0][1].options.score_threshold == 0.7


async def test_positions_are_rounded_and_may_be_parts_of_the_image(
    client: httpx.AsyncClient, system: FakeSystem
) -> None:
    system.fails_with = prediction(boxes_only())
    assert (await rows(client, normalize="true"))[0]["box"] == {"x1": 0.2, "y1": 0.2, "x2": 0.6, "y2": 0.6}
    third = Detections(np.array([[1 / 3, 2, 30, 40]], np.float32), np.ones(1), np.zeros(1, np.int32), ("Crab",))
    system.fails_with = prediction(third)
    for decimals, expected in ((None, 0.33333), (2, 0.33), (0, 0.0)):
        fields = {} if decimals is None else {"decimals": decimals}
        assert (await rows(client, **fields))[0]["box"]["x1"] == expected


async def test_each_kind_of_model_has_its_task_and_its_rows(client: httpx.AsyncClient, system: FakeSystem) -> None:
    whole = two_animals()
    system.fails_with = prediction(boxes_only(masks=whole.masks))
    answer = (await post(client)).json()
    assert answer["metadata"]["task"] == "segment"
    crab, fish = answer["images"][0]["results"]
    assert (min(crab["segments"]["x"]), max(crab["segments"]["y"])) == (20, 28)
    assert fish["segments"] == {"x": [], "y": []}

    system.fails_with = prediction(boxes_only(keypoints=whole.keypoints))
    answer = (await post(client)).json()
    assert answer["metadata"]["task"] == "pose"
    assert answer["images"][0]["results"][0]["keypoints"] == {"x": [21], "y": [11], "visible": [0.5]}

    system.fails_with = prediction(boxes_only(corners=whole.corners))
    answer = (await post(client)).json()
    assert answer["metadata"]["task"] == "obb"
    # Clients read the eight numbers by their order.
    assert list(answer["images"][0]["results"][0]["box"].items()) == [
        ("x1", 20), ("y1", 10), ("x2", 60), ("y2", 10), ("x3", 60), ("y3", 30), ("x4", 20), ("y4", 30),
    ]  # fmt: skip

    labels = tuple(f"class {number}" for number in range(7))
    system.fails_with = prediction(ClassScores(np.linspace(0, 0.6, 7, dtype=np.float32), labels))
    answer = (await post(client)).json()
    assert answer["metadata"]["task"] == "classify"
    assert [row["class"] for row in answer["images"][0]["results"]] == [6, 5, 4, 3, 2]
    assert answer["images"][0]["results"][0] == {"name": "class 6", "class": 6, "confidence": 0.6}

    system.fails_with = prediction(EMBEDDING)
    assert "answers an embedding" in message_in(await post(client), 422)


async def test_metadata_say_who_answered_and_how_fast(client: httpx.AsyncClient, system: FakeSystem) -> None:
    system.records_now.append(record("labelled", labels=["Crab", "Fish"]))
    answer = (await post(client, "/ultralytics/labelled/predict")).json()
    metadata = answer["metadata"]
    assert (metadata["imageCount"], metadata["model"], metadata["task"]) == (1, "labelled", "detect")
    assert metadata["classNames"] == ["Crab", "Fish"]
    assert 0 < metadata["functionTimeCall"] < 60
    assert set(answer["images"][0]["speed"]) == {"preprocess", "inference", "postprocess"}
    assert answer["images"][0]["speed"]["preprocess"] > 0
    assert "classNames" not in (await post(client)).json()["metadata"]


@pytest.mark.parametrize(
    "path",
    [
        "/ultralytics/api/models/mbari/benthic/other/predict",
        "/ultralytics/api/deployments/mbari/other/predict",
        "/model/v1/ultralytics/other/predict",
    ],
)
async def test_owner_and_project_may_be_any(client: httpx.AsyncClient, system: FakeSystem, path: str) -> None:
    assert (await post(client, path)).status_code == 200
    assert [model for model, _ in system.asked] == ["other"]


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"conf": "1.5"}, "conf must be between 0 and 1, got 1.5"),
        ({"conf": "nan"}, "conf must be a number"),
        ({"iou": "-1"}, "iou must be between 0 and 1, got -1"),
        ({"imgsz": "31"}, "imgsz must be between 32 and 1280, got 31"),
        ({"imgsz": "640x480"}, "imgsz must be a number"),
        ({"imgsz": "1e300"}, "imgsz must be between 32 and 1280, got 1e+300"),
        ({"decimals": "11"}, "decimals must be between 0 and 10, got 11"),
        ({"vid_stride": "0"}, "vid_stride must be at least 1, got 0"),
        ({"normalize": "perhaps"}, "normalize must be true or false, got 'perhaps'"),
        ({"source": "https://example.org/a.jpg"}, "this server fetches nothing"),
        ({"bits": "8"}, "unknown field 'bits'"),
        ({"conf": "9" * 5000}, "the field 'conf' has 5000 bytes, the limit is 4096"),
    ],
)
async def test_what_is_wrong_with_a_field_is_named(
    client: httpx.AsyncClient, system: FakeSystem, fields: dict[str, str], words: str
) -> None:
    message = message_in(await post(client, **fields), 422)
    assert words in message
    assert len(message) < 500
    assert system.asked == []


async def test_hostile_forms_are_refused_in_the_form_of_the_face(client: httpx.AsyncClient) -> None:
    assert await refused_alike(client, PATH, message_in) >= 10


async def test_what_is_not_there_or_of_no_use_is_told(client: httpx.AsyncClient, system: FakeSystem) -> None:
    assert "'nobody'" in message_in(await post(client, "/ultralytics/nobody/predict"), 404)
    assert "Not Found" in message_in(await client.post("/ultralytics/nothing"), 404)
    system.records_now.append(record("classifier", family="yolov5-classify", weights="w.pt"))
    answer = await post(client, "/ultralytics/classifier/predict", iou="0.5")
    assert message_in(answer, 422).startswith("iou has no effect: classifier answers class scores")
