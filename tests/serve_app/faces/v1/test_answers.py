"""What `/v1` answers for each kind of model, and who answered."""

import httpx
import numpy as np
import pytest

from deployments.catalogue import ModelState
from deployments.external import ExternalWorker, record_of
from deployments.prediction import Opaque
from tests.serve_app.conftest import CountedAnswers, FakeSystem, record
from tests.serve_app.faces.v1.predicting import (
    EMBEDDING,
    OTHER,
    PATH,
    SCORES,
    base64_of,
    post_form,
    post_json,
    post_raw,
    prediction,
    problem_in,
    two_animals,
)
from tests.serve_app.uploads import picture


async def test_one_image_is_answered_with_its_detections(client: httpx.AsyncClient, counted: CountedAnswers) -> None:
    answer = await post_form(client)
    assert answer.status_code == 200, answer.text
    body = answer.json()
    [entry] = body.pop("images")
    assert body == {"model": "benthic-demo", "revision": "1", "licence": None}
    assert entry["detections"] == [
        {
            "label": "fixed answer A",
            "class_id": 0,
            "score": pytest.approx(0.9),
            "box": {"x1": 10, "y1": 10, "x2": 50, "y2": pytest.approx(30)},
        },
        {
            "label": "fixed answer B",
            "class_id": 1,
            "score": pytest.approx(0.6),
            "box": {"x1": 50, "y1": 25, "x2": pytest.approx(90), "y2": pytest.approx(45)},
        },
    ]
    assert (entry["name"], entry["width"], entry["height"]) == ("frame-0.png", 100, 50)
    assert set(entry["timings"]) == {"decode_s", "wait_s", "inference_s", "postprocess_s", "batch_size"}
    assert answer.headers["server-timing"].startswith("decode;dur=")
    assert counted.answers == [("/v1/models/{model}/predict", 200)]


@pytest.mark.parametrize("path", [PATH, "/model/v1" + PATH, "/v1//models/benthic-demo/predict"])
async def test_every_body_gets_the_same_answer(client: httpx.AsyncClient, path: str) -> None:
    image = picture()
    sent = [
        client.post(path, files={"image": ("a.png", image)}),
        client.post(path, files={"file": ("a.png", image)}),
        client.post(path, content=image),
        client.post(path, content=image, headers={"content-type": "application/octet-stream"}),
        client.post(path, content=image, headers={"content-type": "IMAGE/JPEG; q=1"}),
        client.post(path, json={"image": base64_of(image)}),
        client.post(path, json={"images": [f"data:image/png;base64,{base64_of(image)}"]}),
    ]
    answers = [await one for one in sent]
    assert [one.status_code for one in answers] == [200] * len(sent), answers[0].text
    found = [one.json()["images"][0]["detections"] for one in answers]
    assert all(one == found[0] and len(one) == 2 for one in found)


async def test_a_queue_stands_for_its_model(client: httpx.AsyncClient) -> None:
    answer = await post_raw(client, picture(), "/v1/models/image_queue_yolov5/predict")
    assert answer.json()["model"] == "benthic-demo"


async def test_masks_keypoints_and_corners_stand_with_their_detection(
    client: httpx.AsyncClient, system: FakeSystem
) -> None:
    system.fails_with = prediction(two_animals())
    [entry] = (await post_raw(client, picture())).json()["images"]
    crab, fish = entry["detections"]
    assert (crab["label"], crab["class_id"], crab["score"]) == ("Crab", 3, 0.75)
    # The counts are those that pycocotools 2.0.11 writes for this mask.
    assert crab["mask"] == {"size": [25, 50], "counts": "o7:?0000000000000000000000000000000000000_?"}
    outline = np.array(crab["polygon"])
    np.testing.assert_allclose([outline.min(0), outline.max(0)], [[20, 10], [58, 28]])
    assert crab["keypoints"] == [{"x": 21, "y": 11, "score": 0.5}]
    assert crab["corners"] == [[20, 10], [60, 10], [60, 30], [20, 30]]
    assert fish["mask"]["size"] == [25, 50]
    assert fish["polygon"] == []


async def test_a_classifier_answers_its_classes_best_first(client: httpx.AsyncClient, system: FakeSystem) -> None:
    system.fails_with = prediction(SCORES)
    [entry] = (await post_raw(client, picture())).json()["images"]
    assert "detections" not in entry
    assert entry["classes"] == [
        {"label": "diatom", "class_id": 1, "score": 0.5},
        {"label": "copepod", "class_id": 0, "score": 0.25},
        {"label": "other", "class_id": 2, "score": 0.125},
    ]


async def test_an_embedding_is_its_numbers(client: httpx.AsyncClient, system: FakeSystem) -> None:
    system.fails_with = prediction(EMBEDDING)
    [entry] = (await post_raw(client, picture())).json()["images"]
    assert "detections" not in entry
    assert np.array(entry["embedding"], np.float32).tobytes() == EMBEDDING.values.tobytes()


async def test_an_external_worker_is_handed_through(client: httpx.AsyncClient, system: FakeSystem) -> None:
    system.records_now.append(record_of(ExternalWorker("image_queue_coral")))
    system.external_answers = [Opaque(b'{"corals": [1, 2]}', "image_queue_coral")]
    path = "/v1/models/image_queue_coral/predict"
    answer = await post_raw(client, picture(), path)
    assert answer.json() == {
        "model": "image_queue_coral",
        "revision": None,
        "licence": None,
        "images": [{"name": None, "width": None, "height": None, "answer": {"corals": [1, 2]}}],
    }
    assert "server-timing" not in answer.headers
    refused = problem_in(await post_raw(client, picture(), path, score_threshold="0.5"), 422)
    assert "score_threshold has no effect" in refused["detail"]
    assert len(system.asked_external) == 1


@pytest.mark.parametrize(
    ("said", "licence"), [("CC-BY-4.0", "CC-BY-4.0"), ("", None), ("not found (that of its sibling is MIT)", None)]
)
async def test_the_licence_is_that_of_the_model(
    client: httpx.AsyncClient, system: FakeSystem, said: str, licence: str | None
) -> None:
    system.records_now.append(record("published", licence=said))
    answer = await post_raw(client, picture(), "/v1/models/published/predict")
    assert answer.json()["licence"] == licence


async def test_whoever_answered_is_named_where_a_candidate_did(client: httpx.AsyncClient, system: FakeSystem) -> None:
    system.records_now.append(record("newer", licence="MIT", revision="2"))
    system.fails_with = prediction(SCORES, "newer", "2")
    answer = (await post_raw(client, picture())).json()
    assert (answer["model"], answer["revision"], answer["licence"]) == ("newer", "2", "MIT")


async def test_a_failure_of_ours_is_told_without_details(client: httpx.AsyncClient, system: FakeSystem) -> None:
    system.fails_with = RuntimeError("a secret")
    for sent in (post_form(client, picture()), post_form(client, picture(), picture())):
        assert "secret" not in problem_in(await sent, 500)["detail"]


async def test_what_cannot_answer_is_told(client: httpx.AsyncClient, system: FakeSystem) -> None:
    assert (
        problem_in(await post_raw(client, picture(), "/v1/models/nobody/predict"), 404)["code"] == "model-not-found"
    )
    system.records_now[1] = record("other", ModelState.FAILED)
    answer = await post_json(client, OTHER)
    assert "no such file" in problem_in(answer, 503)["detail"]
    assert answer.headers["retry-after"] == "5"
