"""What a program hands over reaches the server, and what the server answers comes back as types."""

import io
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import PIL.Image
import pytest
from starlette.responses import JSONResponse

from fathom_client import AsyncClient, Box, Client, FathomError, InvalidImage, UnusableImage, WrongKindOfAnswer
from fathom_client.answers import Prediction
from tests.client.conftest import SOON
from tests.client.fake_server import FakeServer, problem
from tests.support.waiting import wait_for


def test_a_file_is_sent_as_it_is_and_its_detections_come_back(
    client: Client, frames: Path, server: FakeServer
) -> None:
    prediction = client.predict(frames / "12.jpg", model="demo")
    [detection] = prediction.detections
    assert (detection.label, detection.class_id, detection.score) == ("Fish", 0, 0.12)
    assert detection.box == Box(1.0, 2.0, 30.5, 40.0)
    assert (prediction.name, prediction.width, prediction.height) == ("12.jpg", 960, 540)
    assert (prediction.model, prediction.revision, prediction.licence) == ("demo", "1", "CC-BY-4.0")
    assert prediction.timings is not None
    assert (prediction.timings.decode_s, prediction.timings.batch_size) == (0.001, 2)
    [asked] = server.asked
    assert asked.images == [(None, b"12")]
    assert asked.headers["content-type"] == "application/octet-stream"


RGB = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)


@pytest.mark.parametrize(
    ("image", "expected"),
    [(RGB, RGB), (RGB[:, ::2], RGB[:, ::2]), (RGB[:, :, 0], np.stack([RGB[:, :, 0]] * 3, -1)),
     (PIL.Image.fromarray(RGB), RGB), (PIL.Image.fromarray(RGB).convert("CMYK"), RGB)],
    ids=["array", "strided array", "grey array", "picture", "CMYK picture"],
)  # fmt: skip
def test_pixels_arrive_without_loss(client: Client, server: FakeServer, image: Any, expected: Any) -> None:
    client.predict(image, model="demo")
    [(_, content)] = server.asked[0].images
    assert np.array_equal(np.asarray(PIL.Image.open(io.BytesIO(content)).convert("RGB")), expected)


@pytest.mark.parametrize(
    "image",
    [RGB.astype(np.float32), RGB[:, :, :2], RGB[:0], 17, None, "no-such-file.jpg", Path("/"),
     PIL.Image.new("F", (2, 2))],
    ids=["floats", "two channels", "empty", "number", "nothing", "missing file", "folder", "picture of floats"],
)  # fmt: skip
def test_what_is_no_image_is_told_without_asking_the_server(client: Client, server: FakeServer, image: Any) -> None:
    with pytest.raises(UnusableImage):
        client.predict(image, model="demo")
    assert server.asked == []


def test_options_are_written_into_the_query(client: Client, server: FakeServer) -> None:
    client.predict(
        b"1",
        model="demo",
        score_threshold={"Crab": 0.5, "*": 0.2},
        iou_threshold=0.4,
        classes=["Fish", "Crab, red"],
        tiling=True,
    )
    regions = [{"x1": 0, "y1": 5, "x2": 640, "y2": 480}]
    client.predict(b"1", model="demo", score_threshold=0.25, classes="Fish", tiling="640x480", regions=regions)
    first, second = (asked.query for asked in server.asked)
    assert first == [
        ("score_threshold", '{"Crab": 0.5, "*": 0.2}'),
        ("iou_threshold", "0.4"),
        ("classes", "Fish"),
        ("classes", "Crab, red"),
        ("tiling", "on"),
    ]
    assert second == [
        ("score_threshold", "0.25"),
        ("classes", "Fish"),
        ("tiling", "640x480"),
        ("regions", '[{"x1": 0.0, "y1": 5.0, "x2": 640.0, "y2": 480.0}]'),
    ]


@pytest.mark.parametrize(
    ("kind", "read", "expected"),
    [
        ("classes", lambda prediction: prediction.classes[0].score, 0.5),
        ("embedding", lambda prediction: prediction.embedding, (0.5, 1.0)),
        ("answer", lambda prediction: prediction.answer, {"bboxes": [[1, 2, 3, 4]]}),
    ],
)
def test_each_kind_of_answer_is_read_as_what_it_is(
    client: Client, server: FakeServer, kind: str, read: Callable[[Prediction], Any], expected: Any
) -> None:
    server.kind = kind
    prediction = client.predict(b"frame", model="demo")
    assert read(prediction) == expected
    with pytest.raises(WrongKindOfAnswer, match=kind):
        _ = prediction.detections


def test_all_that_a_detection_may_have_is_read() -> None:
    box = {"x1": 0, "y1": 0, "x2": 4, "y2": 2}
    row = {"label": "Fish", "class_id": 3, "score": 0.5, "box": box, "mask": {"size": [2, 4], "counts": "08"},
           "polygon": [[0, 0], [4, 0], [4, 2]], "keypoints": [{"x": 1, "y": 2, "score": 0.5}],
           "corners": [[0, 0], [4, 0], [4, 2], [0, 2]]}  # fmt: skip
    [detection] = Prediction.read({"model": "m"}, {"detections": [row]}, None).detections
    assert detection.mask is not None
    assert detection.mask.array().tolist() == [[True] * 4] * 2
    assert (len(detection.polygon), detection.keypoints[0].score, detection.corners[2].x) == (3, 0.5, 4)


def test_many_are_answered_in_their_order_and_few_at_a_time(client: Client, frames: Path, server: FakeServer) -> None:
    files = sorted(frames.iterdir()) * 5
    scores = [one.detections[0].score for one in client.predict_many(files, "demo", concurrency=3)]
    assert scores == [0.10, 0.11, 0.12, 0.13, 0.14, 0.15] * 5
    assert server.most_at_once <= 3


def test_one_that_fails_among_many_is_an_outcome_or_an_error(client: Client, server: FakeServer) -> None:
    outcomes = list(client.outcomes([b"1", b"bad", b"3"], "demo"))
    assert [type(outcome.error) for outcome in outcomes] == [type(None), InvalidImage, type(None)]
    predictions = client.predict_many([b"1", b"bad", b"3"], "demo")
    assert next(predictions).detections
    with pytest.raises(InvalidImage):
        next(predictions)


def test_whoever_stops_iterating_does_not_wait_for_what_is_being_retried(server: FakeServer) -> None:
    answered = JSONResponse({"model": "demo", "images": [{"detections": []}]})
    server.first.extend([answered, problem(503, "model-unavailable", "later", "60")])
    with Client() as client:
        predictions = client.predict_many([b"1", b"2"] * 3, "demo", concurrency=1)
        next(predictions)
        wait_for(lambda: len(server.asked) > 1, 10, "the second request", 0.01)
        begun = time.monotonic()
        predictions.close()  # type: ignore[attr-defined]
        assert time.monotonic() - begun < 20


def test_whoever_stops_iterating_sends_no_more(client: Client, server: FakeServer) -> None:
    predictions = client.predict_many((str(number).encode() for number in range(1000)), "demo", concurrency=2)
    next(predictions)
    predictions.close()  # type: ignore[attr-defined]
    assert len(server.asked) < 20


async def test_the_async_client_answers_the_same(server: FakeServer, frames: Path) -> None:
    transport = httpx.ASGITransport(server.app())
    async with AsyncClient("http://localhost", retry=SOON, transport=transport) as client:
        assert (await client.predict(frames / "12.jpg", "demo", max_detections=3)).detections[0].score == 0.12
        files = [frames / f"{number}.jpg" for number in range(10, 16)] * 3
        scores = [one.detections[0].score async for one in client.predict_many(files, "demo", concurrency=2)]
        assert scores == [0.10, 0.11, 0.12, 0.13, 0.14, 0.15] * 3
        assert server.most_at_once <= 2
        outcomes = [outcome async for outcome in client.outcomes([b"bad", b"2"], "demo")]
        assert [outcome.error is None for outcome in outcomes] == [False, True]
        with pytest.raises(FathomError):
            await anext(client.predict_many([b"bad"], "demo"))
        assert [model.name for model in await client.models()] == ["demo", "other"]
        assert (await client.model("demo")).labels == ("Fish", "Crab")
        assert (await client.ready()).is_ready
        assert "last_errors" in await client.system()
        assert b"10.jpg" in await client.export([frames / "10.jpg"], "demo", "fathomnet-csv")


def test_the_server_tells_of_itself(client: Client, server: FakeServer) -> None:
    demo, other = client.models()
    assert (demo.name, demo.state, demo.is_default, demo.licence) == ("demo", "ready", True, "CC-BY-4.0")
    assert (other.is_default, other.licence, other.queues) == (False, None, ("image_queue",))
    assert client.model("demo").raw["family"] == "yolov5"
    assert client.system() == {"models": [], "last_errors": []}
    assert client.ready()
    server.ready = False
    readiness = client.ready()
    assert not readiness
    assert readiness.reasons[0]["reason"] == "loading"


def test_an_export_has_all_images_with_their_names(client: Client, server: FakeServer, frames: Path) -> None:
    rows = client.export([frames / "10.jpg", b"11"], "demo", "fathomnet-csv", score_threshold=0.5)
    assert rows.decode().split() == ["concept,image,score", "Fish,10.jpg,10", "Fish,image-2,11"]
    assert server.asked[0].query == [("score_threshold", "0.5"), ("format", "fathomnet-csv")]
    with pytest.raises(ValueError, match="1 to 32"):
        client.export([b"1"] * 33, "demo", "coco")
