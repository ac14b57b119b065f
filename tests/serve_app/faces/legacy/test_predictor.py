"""The predict endpoint as real legacy clients use it, and every way in which it says no."""

import asyncio
import math
from typing import Any

import httpx
import pytest

from deployments.catalogue import ModelState
from deployments.errors import DeadlineExceeded, ServingError, all_error_types
from deployments.prediction import Opaque
from serve_app.http.problems import STATUS, TITLE
from tests.serve_app.conftest import CountedAnswers, FakeSystem, record
from tests.serve_app.uploads import picture, problem_of

PATHS = ["/predictor/", "/predictor", "/model/v1/predictor/", "/model/v1/predictor"]


@pytest.mark.parametrize("path", PATHS)
async def test_every_path_answers_directly(client: httpx.AsyncClient, path: str) -> None:
    answer = await client.post(path, files={"file": ("a.png", picture())}, data={"model_type": "image_queue_yolov5"})
    assert answer.status_code == 200
    assert list(answer.json())[:2] == ["success", "predictions"]


FORMS: dict[str, Any] = {
    "desktop app": [("model_type", (None, "image_queue_yolov5")), ("file", ("u.jpg", picture(), "image/jpeg"))],
    "okhttp": [("file", ("u.jpg", picture(file_format="JPEG"), "image/jpg"))],
    "no content type": [("file", ("shot.png", picture(), None))],
    "script": [("file", ("file", picture(), "image/png")), ("model_type", (None, "image_queue_detectron2"))],
    "browser canvas": [("file", ("blob", picture(), "image/png")), ("model_type", (None, "image_queue_yolov5"))],
    "png labelled jpeg": [("file", ("x.jpg", picture(), "image/jpeg"))],
    "grey": [("file", ("x.png", picture(mode="L"), "image/png"))],
    "with alpha": [("file", ("x.png", picture(mode="RGBA"), "image/png"))],
    "by model name": [("file", ("x.png", picture())), ("model_type", (None, "benthic-demo"))],
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS.keys())
async def test_forms_of_real_clients(client: httpx.AsyncClient, system: FakeSystem, form: Any) -> None:
    answer = await client.post("/predictor/", files=form)
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert body["success"] is True
    for prediction in body["predictions"]:
        x1, y1, x2, y2 = prediction["bbox"]
        assert 0 <= x1 < x2 <= 100
        assert 0 <= y1 < y2 <= 50
        assert isinstance(prediction["category_id"], str)
        assert all(math.isfinite(score) for score in prediction["scores"])
    scores = [prediction["scores"][0] for prediction in body["predictions"]]
    assert scores == sorted(scores, reverse=True)
    assert [model for model, _ in system.asked] == ["benthic-demo"]


async def test_options_reach_the_model(client: httpx.AsyncClient, system: FakeSystem) -> None:
    options = {
        "score_threshold": "0.95",
        "iou_threshold": "0.3",
        "max_detections": "5",
        "classes": "fixed answer A, fixed answer B",
    }
    answer = await client.post("/predictor/", files={"file": picture()}, data=options)
    assert answer.status_code == 200
    [(_, request)] = system.asked
    assert request.options.score_threshold == 0.95
    assert (request.options.iou_threshold, request.options.max_detections) == (0.3, 5)
    assert request.options.classes == ("fixed answer A", "fixed answer B")
    assert answer.json()["predictions"] == []


async def test_an_unknown_model_is_named(client: httpx.AsyncClient) -> None:
    answer = await client.post("/predictor/", files={"file": picture()}, data={"model_type": "image_queue_nothing"})
    assert "image_queue_nothing" in (await problem_of(answer, 404))["detail"]


async def test_what_is_no_picture_is_refused(client: httpx.AsyncClient) -> None:
    answer = await client.post("/predictor/", files={"file": ("a.png", b"not a picture")})
    assert (await problem_of(answer, 422))["code"] == "invalid-image"
    answer = await client.post("/predictor/", files={"file": ("a.png", b"")})
    assert (await problem_of(answer, 422))["code"] == "invalid-image"


async def test_a_missing_file_is_named(client: httpx.AsyncClient) -> None:
    answer = await client.post("/predictor/", files={"image": ("a.png", picture())})
    detail = (await problem_of(answer, 422))["detail"]
    assert "'file'" in detail
    assert "image" in detail
    answer = await client.post("/predictor/", data={"model_type": "benthic-demo"})
    assert "multipart/form-data" in (await problem_of(answer, 422))["detail"]
    answer = await client.post("/predictor/")
    await problem_of(answer, 422)


@pytest.mark.parametrize(
    ("field", "value"), [("score_threshold", "high"), ("score_threshold", "2"), ("max_detections", "0.5")]
)
async def test_a_wrong_option_is_named(client: httpx.AsyncClient, field: str, value: str) -> None:
    answer = await client.post("/predictor/", files={"file": picture()}, data={field: value})
    detail = (await problem_of(answer, 422))["detail"]
    assert field in detail
    assert value in detail


async def test_a_malformed_form_is_refused(client: httpx.AsyncClient) -> None:
    headers = {"content-type": "multipart/form-data; boundary=xyz"}
    for body in (b"garbage", b"--xyz\r\nContent-Disposition: form-data; name=file; filename=a\r\n\r\nabc"):
        await problem_of(await client.post("/predictor/", content=body, headers=headers), 422)


async def test_an_upload_over_the_limit_is_refused(client: httpx.AsyncClient) -> None:
    answer = await client.post("/predictor/", files={"file": b"x" * 200_001})
    assert "200000" in (await problem_of(answer, 413))["detail"]

    async def unannounced() -> Any:
        for _ in range(30):
            yield b"x" * 10_000

    headers = {"content-type": "multipart/form-data; boundary=xyz"}
    answer = await client.post("/predictor/", content=unannounced(), headers=headers)
    assert "200000" in (await problem_of(answer, 413))["detail"]


async def test_uploads_under_way_are_bounded_and_given_back(client: httpx.AsyncClient) -> None:
    arrived, may_end = asyncio.Event(), asyncio.Event()

    async def slow_body() -> Any:
        yield b"x" * 190_000
        arrived.set()
        await may_end.wait()

    headers = {"content-type": "multipart/form-data; boundary=xyz"}
    slow = [asyncio.create_task(client.post("/predictor/", content=slow_body(), headers=headers)) for _ in range(2)]
    await arrived.wait()
    await asyncio.sleep(0)
    big = {"file": ("a.bmp", picture((150, 150), "BMP"))}
    refused = await client.post("/predictor/", files=big)
    may_end.set()
    await asyncio.gather(*slow)
    assert (await problem_of(refused, 429))["code"] == "overloaded"
    assert refused.headers["retry-after"] == "1"
    assert (await client.post("/predictor/", files=big)).status_code == 200


@pytest.mark.parametrize("kind", list(all_error_types()))
async def test_every_error_of_the_core_has_an_answer(
    client: httpx.AsyncClient, system: FakeSystem, kind: type[ServingError]
) -> None:
    system.fails_with = kind("words for the asker")
    answer = await client.post("/predictor/", files={"file": picture()})
    body = await problem_of(answer, STATUS[kind])
    assert (body["title"], body["detail"], body["code"]) == (TITLE[kind], "words for the asker", kind.code)
    assert ("retry-after" in answer.headers) is kind.is_temporary


async def test_an_unexpected_failure_tells_no_details(client: httpx.AsyncClient, system: FakeSystem) -> None:
    system.fails_with = ValueError("secret path /etc/x")
    body = await problem_of(await client.post("/predictor/", files={"file": picture()}), 500)
    assert "secret" not in str(body)


async def test_a_failed_model_is_refused_at_once_with_its_reason(
    client: httpx.AsyncClient, system: FakeSystem
) -> None:
    system.records_now = [record("benthic-demo", ModelState.FAILED)]
    body = await problem_of(await client.post("/predictor/", files={"file": picture()}), 503)
    assert "no such file" in body["detail"]
    assert system.asked == []


async def test_a_model_that_never_woke_is_unavailable_and_not_slow(
    client: httpx.AsyncClient, system: FakeSystem
) -> None:
    system.records_now = [record("benthic-demo", ModelState.STARTING)]
    system.fails_with = DeadlineExceeded("no answer")
    body = await problem_of(await client.post("/predictor/", files={"file": picture()}), 503)
    assert "starting" in body["detail"]


async def test_an_external_answer_is_handed_through_untouched(client: httpx.AsyncClient, system: FakeSystem) -> None:
    system.fails_with = Opaque(b'[{"scores": [ "0.90" ]}]', "other")
    answer = await client.post("/predictor/", files={"file": picture()})
    assert answer.content == b'{"success":true,"predictions":[{"scores": [ "0.90" ]}]}'


async def test_get_is_refused_as_a_problem(client: httpx.AsyncClient) -> None:
    body = await problem_of(await client.get("/predictor/"), 405)
    assert "GET /predictor/" in body["detail"]


async def test_answers_are_counted_by_route(client: httpx.AsyncClient, counted: CountedAnswers) -> None:
    await client.post("/predictor/", files={"file": picture()})
    await client.get("/model/v1/v1/models/other")
    await client.get("/anything/at/all")
    assert counted.answers == [("/predictor/", 200), ("/v1/models/{model}", 200), ("other", 404)]
