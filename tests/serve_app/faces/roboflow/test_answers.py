"""What the roboflow face answers for each kind of model."""

import faster_coco_eval.core.mask as coco
import httpx
import pytest

from deployments.errors import ModelUnavailable
from deployments.external import ExternalWorker, record_of
from serve_app.http.server_timing import server_timing
from tests.serve_app.conftest import FakeSystem, record
from tests.serve_app.faces.roboflow.asking import CLASSIFY, DETECT, SEGMENT, image, message_in, post_v0, post_v1
from tests.serve_app.faces.v1.predicting import EMBEDDING, SCORES, SIZE_PX, prediction, two_animals
from tests.serve_app.uploads import picture


async def test_boxes_are_centres_with_sizes(client: httpx.AsyncClient, system: FakeSystem) -> None:
    system.fails_with = prediction(two_animals())
    answer = await post_v0(client)
    body = answer.json()
    assert body["image"] == {"width": SIZE_PX[1], "height": SIZE_PX[0]}
    assert answer.headers["server-timing"] == server_timing(system.fails_with)
    crab, fish = body["predictions"]
    assert [crab[name] for name in ("x", "y", "width", "height")] == [40, 20, 40, 20]
    assert (crab["class"], crab["class_id"], crab["confidence"]) == ("Crab", 3, 0.75)
    assert crab["detection_id"] != fish["detection_id"]


async def test_masks_are_outlines_or_run_lengths(client: httpx.AsyncClient, system: FakeSystem) -> None:
    system.fails_with = prediction(two_animals())
    for path in (DETECT, SEGMENT):
        crab, fish = (await post_v1(client, path)).json()["predictions"]
        xs, ys = [point["x"] for point in crab["points"]], [point["y"] for point in crab["points"]]
        assert (min(xs), max(xs), min(ys), max(ys)) == (20, 58, 10, 28)
        assert fish["points"] == []
    [crab, _] = (await post_v1(client, SEGMENT, response_mask_format="rle")).json()["predictions"]
    assert "points" not in crab
    mask = coco.decode({**crab["rle"], "counts": crab["rle"]["counts"].encode()})
    assert mask.shape == SIZE_PX
    assert mask.sum() == mask[10:30, 20:60].sum() == 800


async def test_a_list_of_images_is_answered_with_a_list(client: httpx.AsyncClient, system: FakeSystem) -> None:
    answers = (await post_v1(client, image=[image(), image(picture((40, 20)))])).json()
    assert [one["image"] for one in answers] == [{"width": 100, "height": 50}, {"width": 40, "height": 20}]
    assert [len(one["predictions"]) for one in answers] == [2, 2]
    [alone] = (await post_v1(client, image=[image()])).json()
    assert len(alone["predictions"]) == 2
    assert len(system.asked) == 3


async def test_a_classifier_names_its_best_class(client: httpx.AsyncClient, system: FakeSystem) -> None:
    system.fails_with = prediction(SCORES)
    for answer in (await post_v1(client, CLASSIFY), await post_v0(client)):
        body = answer.json()
        assert (body["top"], body["confidence"]) == ("diatom", 0.5)
        assert [(row["class"], row["class_id"]) for row in body["predictions"]] == [
            ("diatom", 1), ("copepod", 0), ("other", 2),
        ]  # fmt: skip


async def test_a_model_is_told_from_what_it_does_not_do(client: httpx.AsyncClient, system: FakeSystem) -> None:
    system.fails_with = prediction(SCORES)
    assert "does classification, not object-detection" in message_in(await post_v1(client, DETECT), 422)
    system.fails_with = prediction(EMBEDDING)
    assert "answers an embedding" in message_in(await post_v0(client), 422)
    system.fails_with = None
    assert "does object-detection, not classification" in message_in(await post_v1(client, CLASSIFY), 422)
    assert "not instance-segmentation" in message_in(await post_v1(client, SEGMENT), 422)


async def test_an_answer_that_found_nothing_fits_both_tasks_of_detectors(
    client: httpx.AsyncClient, system: FakeSystem
) -> None:
    for path in (DETECT, SEGMENT):
        answer = await post_v1(client, path, confidence=0.99)
        assert answer.json()["predictions"] == []
    assert {request.options.score_threshold for _, request in system.asked} == {0.99}


async def test_the_first_image_without_an_answer_is_the_error_of_all(
    client: httpx.AsyncClient, system: FakeSystem
) -> None:
    del system
    answer = await post_v1(client, image=[image(), image(b"no picture")])
    assert message_in(answer, 422).startswith("image 2: ")


async def test_errors_of_the_model_say_when_to_try_again(client: httpx.AsyncClient, system: FakeSystem) -> None:
    system.fails_with = ModelUnavailable("model benthic-demo is failed: no such file")
    answer = await post_v0(client)
    assert "no such file" in message_in(answer, 503)
    assert answer.headers["retry-after"] == "5"


async def test_a_model_that_runs_elsewhere_is_refused(client: httpx.AsyncClient, system: FakeSystem) -> None:
    system.records_now.append(record_of(ExternalWorker("image_queue_coral")))
    answer = await post_v1(client, model_id="image_queue_coral/1")
    assert "image_queue_coral runs elsewhere" in message_in(answer, 422)
    assert system.asked_external == []


async def test_the_registry_has_the_models_that_this_protocol_has_words_for(
    client: httpx.AsyncClient, system: FakeSystem
) -> None:
    embedder = record("embedder", family="huggingface", weights="hf://a/b", parameters={"answer": "embedding"})
    classifier = record("classifier", family="yolov5-classify", weights="w.pt", canvas_px=(224, 320))
    system.records_now += [classifier, embedder, record_of(ExternalWorker("image_queue_coral"))]
    models = (await client.get("/roboflow/model/registry?api_key=None")).json()["models"]
    assert {model["model_id"]: model["task_type"] for model in models} == {
        "benthic-demo/1": "object-detection",
        "other/1": "object-detection",
        "classifier/1": "classification",
    }
    assert [(model["input_height"], model["input_width"]) for model in models] == [(None, None)] * 2 + [(224, 320)]


@pytest.mark.parametrize("model_id", ["other", "image_queue_yolov5/1", "benthic-demo/1"])
async def test_an_added_model_is_among_those_that_are_named(client: httpx.AsyncClient, model_id: str) -> None:
    answer = await client.post("/roboflow/model/add", json={"model_id": model_id, "api_key": None})
    ids = [model["model_id"] for model in answer.json()["models"]]
    assert ids.count(model_id) == 1
    assert len(ids) == len(set(ids))


async def test_no_client_takes_a_model_away(client: httpx.AsyncClient) -> None:
    before = (await client.get("/roboflow/model/registry")).json()
    removed = await client.post("/roboflow/model/remove", json={"model_id": "other/1"})
    cleared = await client.post("/roboflow/model/clear")
    assert removed.json() == cleared.json() == before
    assert "no model" in message_in(await client.post("/roboflow/model/remove", json={"model_id": "nobody/1"}), 404)
