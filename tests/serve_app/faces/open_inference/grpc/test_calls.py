"""What is asked over gRPC is what `/v2` answers over HTTP."""

from collections.abc import Callable, Mapping
from typing import Any

import grpc
import httpx
import numpy as np
import pytest
from google.protobuf.json_format import MessageToDict

from deployments.catalogue import ModelState
from serve_app.faces.open_inference.grpc import open_inference_pb2 as messages
from serve_app.faces.open_inference.grpc.rpcs import RPCS
from serve_app.faces.open_inference.grpc.server import client_of
from tests.serve_app.conftest import CountedAnswers, FakeSystem, record
from tests.serve_app.faces.open_inference import asking
from tests.serve_app.faces.open_inference.asking import MODEL, elements
from tests.serve_app.faces.open_inference.grpc.asking import called, infer_request, outputs_in, refusal
from tests.serve_app.uploads import picture

LABELS = ("fixed answer A", "fixed answer B")


@pytest.fixture(autouse=True)
def labelled(system: FakeSystem) -> None:
    system.records_now[0] = record(MODEL, labels=LABELS, required=True)


def test_every_call_of_the_protocol_s_file_is_answered() -> None:
    service = messages.DESCRIPTOR.services_by_name["GRPCInferenceService"]
    assert set(RPCS) == {method.name for method in service.methods}
    for method in service.methods:
        assert RPCS[method.name].request.DESCRIPTOR is method.input_type


async def test_an_image_has_the_animals_that_http_finds(channel: grpc.aio.Channel, client: httpx.AsyncClient) -> None:
    answer = await called(channel, "ModelInfer", infer_request(id="frame 7"))
    over_http = asking.outputs_in(await asking.infer(client, parameters={"binary_data_output": True}))
    outputs = outputs_in(answer)
    assert (answer.model_name, answer.model_version, answer.id) == (MODEL, "1", "frame 7")
    assert list(outputs) == list(over_http) == ["boxes", "scores", "class_ids", "labels", "image_index"]
    for name, values in over_http.items():
        assert np.array_equal(outputs[name], values), name


async def test_all_that_is_told_of_the_server_and_its_models_is_what_http_tells(
    channel: grpc.aio.Channel, client: httpx.AsyncClient
) -> None:
    await called(channel, "ModelInfer", infer_request())
    model = {"name": MODEL}
    raw = {"name": f"{MODEL}-raw"}
    told: list[tuple[str, dict[str, Any], str, Callable[[Any], Any]]] = [
        ("ServerMetadata", {}, "/v2", lambda found: found),
        ("ModelMetadata", model, f"/v2/models/{MODEL}", lambda found: found),
        ("ModelMetadata", {**model, "version": "1"}, f"/v2/models/{MODEL}/versions/1", lambda found: found),
        ("ModelMetadata", raw, f"/v2/models/{MODEL}-raw", lambda found: found),
        ("ModelConfig", model, f"/v2/models/{MODEL}/config", lambda found: {"config": found}),
        ("ModelConfig", raw, f"/v2/models/{MODEL}-raw/config", lambda found: {"config": found}),
        ("ModelStatistics", model, f"/v2/models/{MODEL}/stats", lambda found: found),
        ("ModelStatistics", {}, "/v2/models/stats", lambda found: found),
    ]
    for name, members, path, shaped in told:
        answer = await called(channel, name, RPCS[name].request(**members))
        expected = shaped((await client.get(path)).json())
        assert _without_empty(MessageToDict(answer, preserving_proto_field_name=True)) == _as_protobuf(expected), path
    for body in ({}, {"ready": True}):
        index = await called(channel, "RepositoryIndex", messages.RepositoryIndexRequest(**body))
        expected = (await client.post("/v2/repository/index", json=body)).json()
        found = [_without_empty(MessageToDict(one)) for one in index.models]
        assert found == [_as_protobuf(one) for one in expected]
        assert [one.name for one in index.models][:2] == [MODEL, f"{MODEL}-raw"]


def _as_protobuf(value: Any) -> Any:
    """As protobuf writes JSON: 64 bits are text, and what is 0 or empty is left out. So are small numbers here."""
    if isinstance(value, dict):
        return _without_empty({name: _as_protobuf(one) for name, one in value.items()})
    if isinstance(value, list):
        return [_as_protobuf(one) for one in value]
    return value if isinstance(value, str | bool) else str(value)


def _without_empty(value: Any) -> Any:
    if isinstance(value, dict):
        kept = {name: _without_empty(one) for name, one in value.items()}
        return {name: one for name, one in kept.items() if one not in ({}, [], "", "0", 0, False, None)}
    if isinstance(value, list):
        return [_without_empty(one) for one in value]
    return str(value) if type(value) is int else value


async def test_whether_it_lives_and_is_ready_is_true_or_false_and_no_error(
    channel: grpc.aio.Channel, system: FakeSystem
) -> None:
    async def seen() -> list[bool]:
        return [
            (await called(channel, "ServerLive", messages.ServerLiveRequest())).live,
            (await called(channel, "ServerReady", messages.ServerReadyRequest())).ready,
            (await called(channel, "ModelReady", messages.ModelReadyRequest(name=MODEL))).ready,
            (await called(channel, "ModelReady", messages.ModelReadyRequest(name=MODEL, version="1"))).ready,
            (await called(channel, "ModelReady", messages.ModelReadyRequest(name=MODEL, version="2"))).ready,
            (await called(channel, "ModelReady", messages.ModelReadyRequest(name="nobody"))).ready,
        ]

    assert await seen() == [True, True, True, True, False, False]
    system.records_now[0] = record(MODEL, ModelState.FAILED, required=True)
    assert await seen() == [True, False, False, False, False, False]


PIXELS = np.arange(2 * 4 * 3, dtype=np.uint8).reshape(2, 4, 3)

LISTED: Mapping[str, tuple[str, list[int], dict[str, Any]]] = {
    "a file": ("image", [1], {"bytes_contents": [picture()]}),
    "two files": ("image", [2, 1], {"bytes_contents": [picture(), picture()]}),
    "pixels": ("pixels", [2, 4, 3], {"uint_contents": PIXELS.ravel().tolist()}),
}


@pytest.mark.parametrize("name", LISTED)
async def test_values_in_lists_are_read_as_raw_bytes_are(
    channel: grpc.aio.Channel, system: FakeSystem, name: str
) -> None:
    tensor, shape, contents = LISTED[name]
    datatype = "BYTES" if tensor == "image" else "UINT8"
    message = messages.ModelInferRequest(model_name=MODEL)
    message.inputs.add(name=tensor, datatype=datatype, shape=shape, contents=messages.InferTensorContents(**contents))
    listed = outputs_in(await called(channel, "ModelInfer", message))
    raw = elements(*contents["bytes_contents"]) if tensor == "image" else PIXELS.tobytes()
    as_raw = infer_request((tensor, datatype, shape, raw))
    assert listed["labels"] == outputs_in(await called(channel, "ModelInfer", as_raw))["labels"] != []
    images = [request.image for _, request in system.asked]
    half = len(images) // 2
    for one, other in zip(images[:half], images[half:], strict=True):
        for values, others in ((one.encoded, other.encoded), (one.pixels, other.pixels)):
            assert np.array_equal(values, others)  # type: ignore[arg-type]


async def test_raw_rows_are_those_of_http(channel: grpc.aio.Channel, client: httpx.AsyncClient) -> None:
    planes = np.full((1, 3, 64, 96), 0.5, np.float32)
    asked = {"path": asking.RAW_PATH, "parameters": {"binary_data_output": True}}
    over_http = asking.outputs_in(await asking.infer(client, asking.pixels(planes, "images"), **asked))
    sent = ("images", "FP32", planes.shape, planes.tobytes())
    raw = infer_request(sent, model_name=f"{MODEL}-raw")
    listed = messages.ModelInferRequest(model_name=f"{MODEL}-raw")
    contents = messages.InferTensorContents(fp32_contents=planes.ravel().tolist())
    listed.inputs.add(name="images", datatype="FP32", shape=planes.shape, contents=contents)
    for message in (raw, listed):
        rows = outputs_in(await called(channel, "ModelInfer", message))["output0"]
        assert rows.shape == (1, 4 + len(LABELS), 8)
        assert np.array_equal(rows, over_http["output0"].reshape(rows.shape))


async def test_options_and_outputs_are_chosen_as_over_http(channel: grpc.aio.Channel, system: FakeSystem) -> None:
    message = infer_request()
    message.parameters["score_threshold"].double_param = 0.7
    message.parameters["max_detections"].int64_param = 7
    message.parameters["classes"].string_param = LABELS[0]
    message.parameters["timeout"].int64_param = 1_500_000
    for name in ("labels", "scores"):
        message.outputs.add(name=name)
    outputs = outputs_in(await called(channel, "ModelInfer", message))
    assert list(outputs) == ["labels", "scores"]
    [(_, request)] = system.asked
    options = request.options
    assert (options.score_threshold, options.max_detections, options.classes) == (0.7, 7, (LABELS[0],))
    assert request.deadline_s == 1.5


async def test_ids_come_back_and_go_to_the_model(channel: grpc.aio.Channel, system: FakeSystem) -> None:
    async def id_for(*metadata: tuple[str, str]) -> str:
        call = channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")(
            infer_request().SerializeToString(), metadata=metadata
        )
        await call
        found = dict(await call.trailing_metadata())["x-request-id"]
        assert isinstance(found, str)
        assert system.asked[-1][1].origin.request_id == found  # type: ignore[union-attr]
        return found

    assert await id_for(("x-request-id", "dive-7.frame:12")) == "dive-7.frame:12"
    made = [await id_for(), await id_for(("x-request-id", "no id")), await id_for(("x-request-id", "a" * 129))]
    assert len({*made}) == 3
    assert all(len(one) == 36 for one in made)


@pytest.mark.parametrize(
    ("peer", "client"),
    [
        ("ipv4:10.0.0.7:1234", ("10.0.0.7", 1234)),
        ("ipv6:%5Bfe80::1%25eth0%5D:1234", ("fe80::1%eth0", 1234)),
        ("ipv6:[::1]:1234", ("::1", 1234)),
    ],
)
def test_a_client_is_the_address_that_the_socket_has(peer: str, client: tuple[str, int]) -> None:
    assert client_of(peer) == client


async def test_each_call_is_counted_as_the_route_that_answers_it(
    channel: grpc.aio.Channel, counted: CountedAnswers
) -> None:
    await called(channel, "ModelInfer", infer_request())
    await called(channel, "ServerLive", messages.ServerLiveRequest())
    await refusal(channel, "ModelInfer", infer_request(model_name="nobody").SerializeToString())
    await refusal(channel, "ModelInfer", b"\xff")
    infer = "/v2/models/{model}/infer"
    assert counted.answers == [(infer, 200), ("/v2/health/live", 200), (infer, 404), (infer, 422)]


async def test_a_model_is_loaded_and_not_unloaded(channel: grpc.aio.Channel, system: FakeSystem) -> None:
    await called(channel, "RepositoryModelLoad", messages.RepositoryModelLoadRequest(model_name=MODEL))
    assert [name for name, _ in system.asked] == [MODEL]
    unload = messages.RepositoryModelUnloadRequest(model_name=MODEL)
    unload.parameters["unload_dependents"].bool_param = False
    error = await refusal(channel, "RepositoryModelUnload", unload.SerializeToString())
    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "cannot be unloaded" in str(error.details())
    load = messages.RepositoryModelLoadRequest(model_name=MODEL)
    load.parameters["config"].string_param = "{}"
    error = await refusal(channel, "RepositoryModelLoad", load.SerializeToString())
    assert "'config' cannot be set from here" in str(error.details())


@pytest.mark.parametrize("compression", [grpc.Compression.Gzip, grpc.Compression.Deflate])
async def test_a_compressed_message_is_read(channel: grpc.aio.Channel, compression: grpc.Compression) -> None:
    call = channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")
    answer = messages.ModelInferResponse()
    answer.ParseFromString(await call(infer_request().SerializeToString(), compression=compression))
    assert outputs_in(answer)["labels"] == list(LABELS)


async def test_streams_are_told_what_to_call_instead(channel: grpc.aio.Channel) -> None:
    error = await refusal(channel, "ModelStreamInfer", infer_request().SerializeToString())
    assert error.code() is grpc.StatusCode.UNIMPLEMENTED
    assert "call ModelInfer" in str(error.details())
