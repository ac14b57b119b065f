"""What is answered to an inference: each way to send images, each way to ask for outputs, each kind of model."""

import base64
import gzip
import zlib
from typing import Any

import httpx
import numpy as np
import pytest

from deployments.errors import ModelUnavailable
from deployments.external import ExternalWorker, record_of
from deployments.prediction import Detections, Opaque
from tests.serve_app.conftest import FakeSystem, record
from tests.serve_app.faces.open_inference.asking import (
    LENGTH,
    MODEL,
    PATH,
    body_of,
    error_in,
    files,
    infer,
    infer_json,
    outputs_in,
    pixels,
)
from tests.serve_app.faces.v1.predicting import EMBEDDING, SCORES, prediction, two_animals
from tests.serve_app.uploads import picture

LABELS = ["fixed answer A", "fixed answer B"]
BOXES = [[10, 10, 50, 30], [50, 25, 90, 45]]
TEXT = base64.b64encode(picture()).decode()
IN_JSON = {"name": "image", "datatype": "BYTES", "shape": [1], "data": [TEXT]}
ALL = ["boxes", "scores", "class_ids", "labels", "image_index"]


def as_found(outputs: dict[str, Any]) -> None:
    assert list(outputs) == ALL
    assert outputs["boxes"] == pytest.approx(np.array(BOXES), abs=1e-4)
    assert outputs["scores"] == pytest.approx([0.9, 0.6])
    assert (outputs["labels"], outputs["class_ids"].tolist()) == (LABELS, [0, 1])
    assert outputs["image_index"].tolist() == [0, 0]


FRAME = np.zeros((50, 100, 3), np.uint8)


@pytest.mark.parametrize("sent", [files(), pixels(FRAME), pixels(FRAME[None]), pixels(FRAME, "image")])
@pytest.mark.parametrize("is_binary", [True, False])
async def test_images_come_as_files_or_as_pixels(client: httpx.AsyncClient, sent: Any, is_binary: bool) -> None:
    answer = await infer(client, sent, parameters={"binary_data_output": is_binary})
    as_found(outputs_in(answer))
    assert (LENGTH in answer.headers) is is_binary


@pytest.mark.parametrize(
    "tensor",
    [
        IN_JSON,
        IN_JSON | {"shape": [1, 1], "data": [[f"data:image/png;base64,{TEXT}"]]},
        {"name": "pixels", "datatype": "UINT8", "shape": [50, 100, 3], "data": FRAME.tolist()},
        {"name": "pixels", "datatype": "UINT8", "shape": [50, 100, 3], "data": FRAME.ravel().tolist()},
    ],
)
async def test_images_come_in_json_too(client: httpx.AsyncClient, tensor: dict[str, Any]) -> None:
    as_found(outputs_in(await infer_json(client, inputs=[tensor])))


async def test_a_body_may_be_the_image_itself(client: httpx.AsyncClient) -> None:
    as_found(outputs_in(await client.post(PATH, content=picture(), headers={LENGTH: "0"})))


async def test_the_model_gets_the_pixels_that_were_sent(client: httpx.AsyncClient, system: FakeSystem) -> None:
    values = np.arange(2 * 4 * 5 * 3, dtype=np.uint8).reshape(2, 4, 5, 3)
    answer = await infer(client, pixels(values))
    asked = [request.image.pixels for _, request in system.asked]
    assert np.array_equal(np.stack(asked), values)  # type: ignore[arg-type]
    assert outputs_in(answer)["image_index"].tolist() == [0, 0, 1, 1]


async def test_outputs_come_in_the_order_and_the_way_in_which_they_are_asked_for(client: httpx.AsyncClient) -> None:
    wanted = [{"name": "labels"}, {"name": "boxes", "parameters": {"binary_data": True}}]
    answer = await infer(client, outputs=wanted, id="frame 7")
    assert list(outputs_in(answer)) == ["labels", "boxes"]
    text = answer.content[: int(answer.headers[LENGTH])]
    assert b'"id":"frame 7"' in text
    assert b'"data":["fixed' in text
    everything = await infer(
        client,
        outputs=[{"name": "boxes", "parameters": {"binary_data": False}}],
        parameters={"binary_data_output": True},
    )
    assert LENGTH not in everything.headers


async def test_where_nothing_is_found_the_shapes_are_exact(client: httpx.AsyncClient) -> None:
    for is_binary in (True, False):
        answer = await infer(client, parameters={"score_threshold": 0.95, "binary_data_output": is_binary})
        shapes = {name: np.shape(values) for name, values in outputs_in(answer).items()}
        assert shapes == {"boxes": (0, 4)} | dict.fromkeys(ALL[1:], (0,))


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
async def test_bodies_are_compressed_both_ways(client: httpx.AsyncClient, encoding: str) -> None:
    body, headers = body_of(files(), parameters={"binary_data_output": True})
    small = gzip.compress(body) if encoding == "gzip" else zlib.compress(body)
    headers |= {"Content-Encoding": encoding, "Accept-Encoding": encoding}
    answer = await client.post(PATH, content=small, headers=headers)
    as_found(outputs_in(answer))
    assert answer.headers["content-encoding"] == encoding
    plain = await client.post(
        PATH, content=body, headers={LENGTH: headers[LENGTH], "Accept-Encoding": f"{encoding};q=0"}
    )
    assert "content-encoding" not in plain.headers


async def test_options_are_those_of_v1(client: httpx.AsyncClient, system: FakeSystem) -> None:
    given = {"score_threshold": '{"fixed answer A": 0.95}', "iou_threshold": 0.3, "max_detections": "7"}
    more = {"classes": '["fixed answer A", "fixed answer B"]', "tiling": "off", "timeout": 2_000_000}
    answer = await infer(client, parameters={**given, **more})
    assert outputs_in(answer)["labels"] == ["fixed answer B"]
    [(_, request)] = system.asked
    options = request.options
    assert (options.iou_threshold, options.max_detections, options.tiling) == (0.3, 7, "off")
    assert options.classes == tuple(LABELS)
    assert request.deadline_s == 2.0
    await infer(client, parameters={"classes": "fixed answer B", "max_detections": 3.0})
    assert system.asked[-1][1].options.classes == ("fixed answer B",)


@pytest.mark.parametrize(
    ("parameters", "says"),
    [
        ({"score_treshold": 0.5}, "did you mean score_threshold?"),
        ({"score_threshold": 2}, "score_threshold must be between 0 and 1, got 2"),
        ({"max_detections": 2.5}, "max_detections must be a whole number, got '2.5'"),
        ({"classes": []}, "classes must be a label or a list of labels"),
        ({"classes": ["Whale"]}, "this model has no class 'Whale'"),
        ({"priority": 1}, "priority has no effect here"),
        ({"timeout": -1}, "timeout must be a whole number of microseconds"),
        ({"binary_data_output": 1}, "binary_data_output in parameters of the request must be true or false"),
    ],
)
async def test_an_option_that_is_wrong_is_named(client: httpx.AsyncClient, parameters: Any, says: str) -> None:
    assert says in error_in(await infer(client, parameters=parameters), 422)


async def test_a_model_that_finds_more_than_boxes_answers_it(client: httpx.AsyncClient, system: FakeSystem) -> None:
    system.fails_with = prediction(two_animals())
    outputs = outputs_in(await infer(client, files(picture(), picture())))
    assert list(outputs) == [*ALL, "masks", "keypoints", "corners"]
    assert (outputs["keypoints"].shape, outputs["corners"].shape) == ((4, 1, 3), (4, 4, 2))
    assert outputs["masks"][0].startswith('{"size":[25,50],"counts":"')
    assert len(outputs["masks"]) == 4
    plain = two_animals()
    system.fails_with = prediction(Detections(plain.boxes, plain.scores, plain.class_ids, plain.labels))
    says = error_in(await infer(client, outputs=[{"name": "masks"}]), 422)
    assert "this model answers no output 'masks'" in says


async def test_other_models_answer_outputs_of_their_own(client: httpx.AsyncClient, system: FakeSystem) -> None:
    system.fails_with = prediction(SCORES)
    outputs = outputs_in(await infer(client, files(picture(), picture())))
    assert outputs["scores"].tolist() == [[0.25, 0.5, 0.125]] * 2
    assert outputs["labels"] == ["copepod", "diatom", "other"]
    system.fails_with = prediction(EMBEDDING)
    outputs = outputs_in(await infer(client))
    assert outputs["embedding"] == pytest.approx(EMBEDDING.values[None])
    system.records_now.append(record_of(ExternalWorker("image_queue_coral")))
    system.external_answers.append(Opaque(b'[{"box": [1, 2]}]', "image_queue_coral"))
    outputs = outputs_in(await infer(client, path="/v2/models/image_queue_coral/infer"))
    assert outputs == {"answer": ['[{"box": [1, 2]}]']}


async def test_an_option_without_use_is_refused(client: httpx.AsyncClient, system: FakeSystem) -> None:
    system.records_now.append(record("sorter", family="ultralytics-classify"))
    answer = await infer(client, path="/v2/models/sorter/infer", parameters={"iou_threshold": 0.5})
    assert "iou_threshold has no effect" in error_in(answer, 422)


async def test_the_error_of_one_image_is_that_of_the_request(client: httpx.AsyncClient, system: FakeSystem) -> None:
    assert "image 1 of 2" in error_in(await infer(client, files(picture(), b"no image")), 422)
    system.fails_with = ModelUnavailable("it is away")
    assert error_in(await infer(client), 503) == "it is away"


async def test_the_version_is_that_of_whoever_answered(client: httpx.AsyncClient, system: FakeSystem) -> None:
    assert (await infer(client)).json()["model_version"] == "1"
    system.fails_with = prediction(two_animals(), "benthic-next", "2")
    answer = (await infer(client)).json()
    assert (answer["model_name"], answer["model_version"]) == (MODEL, "2")


async def test_a_version_that_is_not_there_is_not_found(client: httpx.AsyncClient) -> None:
    as_found(outputs_in(await infer(client, path=f"/v2/models/{MODEL}/versions/1/infer")))
    says = error_in(await infer(client, path=f"/v2/models/{MODEL}/versions/2/infer"), 404)
    assert says == "benthic-demo has no version '2'; it has '1'"
    assert error_in(await infer(client, path="/v2/models/nothing/infer"), 404)
