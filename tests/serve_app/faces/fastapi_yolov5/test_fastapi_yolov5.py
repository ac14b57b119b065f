"""The fastapi-yolov5 face: rows, pictures and health, of the default model and of a named one."""

import io

import httpx
import PIL.Image
import pytest

from deployments.catalogue import ModelState
from tests.serve_app.conftest import FakeSystem, record
from tests.serve_app.faces.forms import FILE, refused_alike
from tests.serve_app.faces.v1.predicting import EMBEDDING, SCORES, prediction, two_animals

ROOT = "/fastapi-yolov5"


def message_in(answer: httpx.Response, status: int) -> str:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert body["message"] == body["detail"]
    message: str = body["message"]
    return message


@pytest.mark.parametrize(
    ("path", "model"),
    [
        ("/", "benthic-demo"),
        ("/predict", "benthic-demo"),
        ("/predict/", "benthic-demo"),
        ("/other/", "other"),
        ("/other/predict", "other"),
        ("/image_queue_yolov5/predict/", "benthic-demo"),
    ],
)
async def test_rows_have_their_upper_left_corner(
    client: httpx.AsyncClient, system: FakeSystem, path: str, model: str
) -> None:
    system.fails_with = prediction(two_animals())
    answer = await client.post(ROOT + path, files=FILE)
    crab, fish = answer.json()
    assert crab == {
        "class_id": 3,
        "class_name": "Crab",
        "x": 20,
        "y": 10,
        "width": 40,
        "height": 20,
        "confidence": 0.75,
    }
    assert fish["class_name"] == "Fish"
    assert [asked for asked, _ in system.asked] == [model]


async def test_the_threshold_counts_in_the_form_and_in_the_query(
    client: httpx.AsyncClient, system: FakeSystem
) -> None:
    in_form = await client.post(f"{ROOT}/", files=FILE, data={"confidence_threshold": "0.70000"})
    in_query = await client.post(f"{ROOT}/other/", files=FILE, params={"confidence_threshold": 0.7})
    assert [len(answer.json()) for answer in (in_form, in_query)] == [1, 1]
    assert {request.options.score_threshold for _, request in system.asked} == {0.7}
    await client.post(f"{ROOT}/", files=FILE)
    assert system.asked[-1][1].options.score_threshold is None


@pytest.mark.parametrize("path", ["/image", "/other/image", "/other/image/"])
async def test_a_picture_has_what_was_found_drawn_on_it(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.post(ROOT + path, files=FILE)
    assert answer.headers["content-type"] == "image/png"
    drawn = PIL.Image.open(io.BytesIO(answer.content))
    assert drawn.size == (100, 50)
    assert any(channel[1] > 0 for channel in drawn.convert("RGB").getextrema())
    empty = await client.post(ROOT + path, files=FILE, data={"confidence_threshold": "1"})
    nothing = PIL.Image.open(io.BytesIO(empty.content)).convert("RGB").getextrema()
    assert nothing == ((0, 0), (0, 0), (0, 0))


async def test_health_is_that_of_the_model(client: httpx.AsyncClient, system: FakeSystem) -> None:
    for path in ("/health", "/other/health"):
        answer = await client.get(ROOT + path)
        assert (answer.status_code, answer.json()) == (200, {"message": "OK"})
    system.records_now = [record("benthic-demo", ModelState.FAILED)]
    assert "benthic-demo is failed: ValueError" in message_in(await client.get(f"{ROOT}/health"), 503)
    assert "'other'" in message_in(await client.get(f"{ROOT}/other/health"), 404)


@pytest.mark.parametrize(
    ("threshold", "words"),
    [
        ("1.1", "confidence_threshold must be between 0 and 1, got 1.1"),
        ("-0.5", "confidence_threshold must be between 0 and 1"),
        ("high", "confidence_threshold must be a number such as 0.5, got 'high'"),
        ("inf", "confidence_threshold must be a number"),
        ("\u0661", "confidence_threshold must be a number"),
    ],
)
async def test_what_is_wrong_with_the_threshold_is_named(
    client: httpx.AsyncClient, system: FakeSystem, threshold: str, words: str
) -> None:
    for path in ("/", "/image"):
        answer = await client.post(ROOT + path, files=FILE, data={"confidence_threshold": threshold})
        assert words in message_in(answer, 422)
    assert system.asked == []


async def test_hostile_forms_are_refused_in_the_form_of_the_face(client: httpx.AsyncClient) -> None:
    for path in ("/", "/other/image"):
        assert await refused_alike(client, ROOT + path, message_in) >= 10


async def test_only_boxes_have_words_here(client: httpx.AsyncClient, system: FakeSystem) -> None:
    for result in (SCORES, EMBEDDING):
        system.fails_with = prediction(result)
        for path in ("/", "/image"):
            answer = await client.post(ROOT + path, files=FILE)
            assert f"answers {result.what}, which this protocol has no words for" in message_in(answer, 422)
    assert "'nobody'" in message_in(await client.post(f"{ROOT}/nobody/", files=FILE), 404)
    # Not a route: it would be the address of a model named `health`.
    assert message_in(await client.post(f"{ROOT}/health", files=FILE), 405).endswith("answers to GET, HEAD, OPTIONS")
