"""The Open Inference Protocol through HAProxy and a running model."""

import gzip
import re

import numpy as np
import PIL.Image
import pytest
from grpc import StatusCode

from tests.serve_app.faces.open_inference.asking import LENGTH, MODEL, body_of, elements, files, outputs_in, pixels
from tests.serve_app.faces.open_inference.grpc.asking import called, connected, infer_request, refusal
from tests.serve_app.faces.open_inference.grpc.asking import outputs_in as grpc_outputs_in
from tests.support.waiting import wait_for
from tests.system.conftest import SAMPLES, RunningSystem

FRAME = SAMPLES / "seafloor-1.png"
COUNTED = re.compile(r'fathom_http_requests_total\{[^}]*route="/v2/models/\{model\}/infer"[^}]*status="404"')
PATH = f"/v2/models/{MODEL}/infer"


def test_fifty_megabytes_of_frames_are_looked_at(system: RunningSystem) -> None:
    frame = np.asarray(PIL.Image.open(FRAME).convert("RGB"))
    frames = np.stack([frame] * 32)
    assert frames.nbytes > 49 * 10**6
    body, headers = body_of(pixels(frames), parameters={"binary_data_output": True})
    outputs = outputs_in(system.http.post(PATH, content=body, headers=headers))
    each = np.bincount(outputs["image_index"].astype(int), minlength=32)
    assert each.tolist() == [each[0]] * 32
    one = outputs_in(system.http.post(PATH, content=FRAME.read_bytes(), headers={LENGTH: "0"}))
    # In a batch, TensorFlow adds up in another order.
    assert outputs["boxes"][: each[0]] == pytest.approx(one["boxes"], abs=0.01)


def test_what_is_compressed_passes(system: RunningSystem) -> None:
    body, headers = body_of(files(FRAME.read_bytes()))
    sent = headers | {"Content-Encoding": "gzip", "Accept-Encoding": "gzip"}
    answer = system.http.post(PATH, content=gzip.compress(body), headers=sent)
    assert answer.headers["content-encoding"] == "gzip"
    assert len(outputs_in(answer)["labels"]) > 5


async def test_grpc_answers_beside_haproxy_and_finds_the_same(system: RunningSystem) -> None:
    frame = FRAME.read_bytes()
    request = infer_request(("image", "BYTES", (1,), elements(frame)))
    body, headers = body_of(files(frame), parameters={"binary_data_output": True})
    over_http = outputs_in(system.http.post(PATH, content=body, headers=headers))
    async with connected(f"127.0.0.1:{system.environ['FATHOM_GRPC_PORT']}") as channel:
        outputs = grpc_outputs_in(await called(channel, "ModelInfer", request))
        unknown = await refusal(channel, "ModelInfer", infer_request(model_name="nobody").SerializeToString())
    assert len(outputs["labels"]) > 5
    assert outputs["labels"] == over_http["labels"]
    assert outputs["boxes"] == pytest.approx(over_http["boxes"], abs=0.01)
    assert unknown.code() is StatusCode.NOT_FOUND
    wait_for(lambda: COUNTED.search(system.http.get("/metrics").text), what="the count of the call that failed")


def test_haproxy_itself_answers_as_clients_of_this_face_expect(system: RunningSystem) -> None:
    answer = system.http.get("/v2", headers={"x": "a" * 20_000})
    assert (answer.status_code, answer.json()["error"]) == (431, answer.json()["detail"])
