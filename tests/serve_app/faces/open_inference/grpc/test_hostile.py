"""Messages that lie, or want too much: each is refused with its status, and none takes memory without limit."""

from collections.abc import Mapping

import grpc
import numpy as np
import pytest
from grpc import StatusCode

from serve_app.faces.open_inference.grpc import open_inference_pb2 as messages
from serve_app.settings import DoorSettings
from tests.serve_app.conftest import FakeSystem, record
from tests.serve_app.faces.open_inference.asking import MODEL, elements
from tests.serve_app.faces.open_inference.grpc.asking import infer_request, refusal, sent
from tests.serve_app.faces.open_inference.grpc.resident import Peak
from tests.serve_app.uploads import picture

MOST_BYTES = 2**22
PEAK_BYTES = 12 * MOST_BYTES
NEARLY = MOST_BYTES - 2**12
REFUSALS = (StatusCode.INVALID_ARGUMENT, StatusCode.NOT_FOUND)
GOOD = infer_request().SerializeToString()


@pytest.fixture
def settings() -> DoorSettings:
    return DoorSettings(
        default_model=MODEL,
        deadline_s=5,
        max_upload_bytes=MOST_BYTES,
        max_held_bytes=8 * MOST_BYTES,
        max_held_bytes_per_client=8 * MOST_BYTES,
    )


@pytest.fixture(autouse=True)
def labelled(system: FakeSystem) -> None:
    system.records_now[0] = record(MODEL, labels=("a", "b"))


def varint(value: int) -> bytes:
    written = bytearray()
    while value >= 0x80:
        written.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*written, value])


def part(number: int, content: bytes) -> bytes:
    """A field of bytes, or of a message."""
    return varint(number << 3 | 2) + varint(len(content)) + content


def times(one: bytes) -> bytes:
    """As often as it fits into a message."""
    return one * (NEARLY // len(one))


def tensor(name: str, datatype: str, shape: list[int], content: bytes = b"\0" * 12, model: str = MODEL) -> bytes:
    return infer_request((name, datatype, shape, content), model_name=model).SerializeToString()


def listed(name: str, datatype: str, shape: list[int], **contents: object) -> bytes:
    message = messages.ModelInferRequest(model_name=MODEL)
    of_tensor = messages.InferTensorContents(**contents)
    message.inputs.add(name=name, datatype=datatype, shape=shape, contents=of_tensor)
    return message.SerializeToString()


def with_parameter(name: str, **choice: object) -> bytes:
    message = infer_request()
    message.parameters[name].CopyFrom(messages.InferParameter(**choice))
    return message.SerializeToString()


def of_tensor(place: str, name: str) -> bytes:
    message = infer_request()
    if place == "outputs":
        message.outputs.add(name="boxes")
    getattr(message, place)[0].parameters[name].int64_param = 9
    return message.SerializeToString()


def with_contents_too() -> bytes:
    message = infer_request()
    message.inputs[0].contents.bytes_contents.append(b"x")
    return message.SerializeToString()


MODEL_NAME = part(1, MODEL.encode())
IMAGE = part(1, b"image") + part(2, b"BYTES") + part(3, b"\x01")
PIXELS = part(1, b"pixels") + part(2, b"UINT8") + part(3, b"\x01\x04\x03")
KEYS = b"".join(part(4, part(1, b"%06x" % index)) for index in range(NEARLY // 10 - 2**16))

HOSTILE: Mapping[str, bytes] = {
    "nothing": b"",
    "no message": b"\xff\xd8\xff\xe0",
    "text": b"GET / HTTP/1.1\r\n",
    "a group": MODEL_NAME + b"\x3b\x3c",
    "a field that is cut off": GOOD[:-1],
    "a length beyond the message": MODEL_NAME + b"\x2a" + varint(2**31) + b"abc",
    "a length of 64 bits": MODEL_NAME + b"\x2a" + varint(2**64 - 1) + b"abc",
    "a number that never ends": MODEL_NAME + b"\x2a" + b"\xff" * 1000,
    "an input that is cut off": MODEL_NAME + part(5, part(1, b"image")[:-1]),
    "text for a tensor": MODEL_NAME + b"\x28\x01",
    "a name that is not UTF-8": part(1, b"\xff\xfe"),
    "no model": infer_request(model_name="").SerializeToString(),
    "a path as a model": infer_request(model_name="x/../../v1/models").SerializeToString(),
    "statistics as a model": infer_request(model_name="stats").SerializeToString(),
    "a version as a path": infer_request(model_version="1/../2").SerializeToString(),
    "no inputs": MODEL_NAME,
    "an empty input": MODEL_NAME + part(5, b""),
    "two inputs": infer_request(*[("image", "BYTES", (1,), elements(picture()))] * 2).SerializeToString(),
    "1,000 inputs": infer_request(*[("image", "BYTES", (1,), elements(b"x"))] * 1000).SerializeToString(),
    "1,000 outputs": GOOD + part(6, part(1, b"boxes")) * 1000,
    "an output twice": GOOD + part(6, part(1, b"boxes")) * 2,
    "an output that is not there": GOOD + part(6, part(1, b"box")),
    "an output without a name": GOOD + part(6, b""),
    "very many outputs": GOOD + times(part(6, b"")),
    "very many inputs": MODEL_NAME + times(part(5, b"")),
    "very many raw contents": MODEL_NAME + times(part(7, b"")),
    "very many parameters": GOOD + KEYS,
    "very many elements": MODEL_NAME + part(5, IMAGE + part(5, times(part(8, b"")))),
    "very many sizes": MODEL_NAME + part(5, part(1, b"image") + part(2, b"BYTES") + part(3, b"\x01" * NEARLY)),
    "very many numbers": MODEL_NAME + part(5, PIXELS + part(5, part(4, b"\x01" * NEARLY))),
    "very many numbers, one by one": MODEL_NAME + part(5, PIXELS + part(5, times(b"\x20\x01"))),
    "very many numbers of 64 bits": MODEL_NAME + part(5, PIXELS + part(5, part(5, b"\x01" * NEARLY))),
    "a very long name": part(1, b"x" * NEARLY),
    "a very long id": infer_request(id="x" * 10_000).SerializeToString(),
    "an unknown parameter": with_parameter("score_treshold", double_param=0.5),
    "a parameter without a value": with_parameter("score_threshold"),
    "a parameter that is no number": with_parameter("score_threshold", double_param=float("nan")),
    "a parameter out of range": with_parameter("score_threshold", double_param=7),
    "a negative time": with_parameter("timeout", int64_param=-1),
    "a priority": with_parameter("priority", uint64_param=2**64 - 1),
    "a parameter of HTTP": with_parameter("binary_data_output", bool_param=False),
    "a size of HTTP": of_tensor("inputs", "binary_data_size"),
    "shared memory": of_tensor("inputs", "shared_memory_byte_size"),
    "a classification": of_tensor("outputs", "classification"),
    "more raw contents than inputs": GOOD + part(7, b"x"),
    "fewer raw contents than inputs": GOOD + part(5, IMAGE),
    "raw contents and contents": with_contents_too(),
    "no contents": MODEL_NAME + part(5, IMAGE),
    "contents of another type": listed("pixels", "UINT8", [1, 1, 3], int_contents=[1, 2, 3]),
    "contents of two types": listed("image", "BYTES", [1], bytes_contents=[b"x"], bool_contents=[True]),
    "values beyond their datatype": listed("pixels", "UINT8", [1, 1, 3], uint_contents=[0, 1, 256]),
    "fewer values than the shape says": listed("pixels", "UINT8", [1, 1, 3], uint_contents=[0, 1]),
    "values of FP16": listed("images", "FP16", [1], fp32_contents=[0.5]),
    "an element that is longer than it is": tensor("image", "BYTES", [1], b"\xff\xff\xff\xff1234"),
    "an element that is cut off": tensor("image", "BYTES", [1], b"\x05\0"),
    "elements that are left": tensor("image", "BYTES", [1], elements(b"12345", b"6")),
    "more elements than bytes": tensor("image", "BYTES", [2**31 - 1]),
    "33 images": tensor("image", "BYTES", [33], elements(*[b"x"] * 33)),
    "an image that is none": tensor("image", "BYTES", [1], elements(b"hello")),
    "an empty image": listed("image", "BYTES", [1], bytes_contents=[b""]),
    "a shape of 2**31": tensor("pixels", "UINT8", [2**31, 1, 3]),
    "a shape whose product is 2**93": tensor("pixels", "UINT8", [2**31 - 1] * 3),
    "a shape whose product wraps to 0": tensor("pixels", "UINT8", [2**30, 2**30, 2**4, 3], b""),
    "a negative shape": tensor("pixels", "UINT8", [-1, 2, 3]),
    "a shape of -1s": listed("pixels", "UINT8", [-1, -1, 3], uint_contents=[1, 2, 3]),
    "a shape of 1,000 dimensions": tensor("pixels", "UINT8", [1] * 1000),
    "no shape": tensor("pixels", "UINT8", []),
    "four channels": tensor("pixels", "UINT8", [1, 3, 4]),
    "pixels of FP32": tensor("pixels", "FP32", [1, 1, 3]),
    "an unknown datatype": tensor("pixels", "UINT7", [1, 4, 3]),
    "an unknown datatype in a list": listed("pixels", "UINT7", [1, 4, 3], uint_contents=[1] * 12),
    "an unknown input": tensor("picture", "UINT8", [1, 4, 3]),
    "rows of a network for more than is there": tensor("images", "FP32", [1, 3, 2**31 - 1, 1], model=f"{MODEL}-raw"),
    "rows of a network for values beyond 1": tensor(
        "images", "FP32", [1, 3, 1, 1], np.full(3, np.inf, np.float32).tobytes(), f"{MODEL}-raw"
    ),
}


def test_none_is_larger_than_a_message_may_be() -> None:
    assert max(map(len, HOSTILE.values())) <= MOST_BYTES


async def test_each_is_refused_and_takes_little_memory(channel: grpc.aio.Channel) -> None:
    # In one test: to build a door takes longer than to ask it.
    grown_bytes: dict[str, int] = {}
    for name, message in HOSTILE.items():
        peak = Peak()
        error = await refusal(channel, "ModelInfer", message)
        grown_bytes[name] = peak.grown_bytes()
        assert error.code() in REFUSALS, (name, error)
        assert 0 < len(str(error.details())) < 500, name
        # What was held is given back: the next one is answered.
        assert await sent(channel, "ModelInfer", GOOD), name
    assert max(grown_bytes.values()) < PEAK_BYTES, grown_bytes


def test_they_are_many() -> None:
    assert len(HOSTILE) > 60


SMALL_CALLS = (
    "ModelReady",
    "ModelMetadata",
    "ModelConfig",
    "ModelStatistics",
    "RepositoryIndex",
    "RepositoryModelLoad",
)


async def test_other_calls_refuse_what_is_no_message_of_theirs(channel: grpc.aio.Channel) -> None:
    for name in SMALL_CALLS:
        for message in (b"\xff", part(1, b"\xff"), part(1, b"x" * NEARLY)):
            error = await refusal(channel, name, message)
            assert error.code() in REFUSALS, (name, error)
    assert await sent(channel, "ModelReady", part(1, b"a/b")) == b""


@pytest.mark.parametrize("compression", list(grpc.Compression))
async def test_a_message_over_the_limit_is_never_held(
    channel: grpc.aio.Channel, system: FakeSystem, compression: grpc.Compression
) -> None:
    error = await refusal(channel, "ModelInfer", b"\0" * (MOST_BYTES + 1), compression=compression)
    assert error.code() is StatusCode.RESOURCE_EXHAUSTED
    assert "larger than max" in str(error.details())
    assert system.asked == []
    assert await sent(channel, "ModelInfer", GOOD)
