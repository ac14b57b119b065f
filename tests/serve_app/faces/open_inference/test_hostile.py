"""Requests that lie, or want too much: each is refused in the face's form, and none takes memory without limit."""

import gzip
import json
import tracemalloc
import zlib
from collections.abc import Mapping
from typing import Any

import httpx
import pytest

from serve_app.settings import DoorSettings
from tests.serve_app.conftest import FakeSystem, record
from tests.serve_app.faces.open_inference.asking import (
    LENGTH,
    MODEL,
    PATH,
    RAW_PATH,
    binary,
    body_of,
    elements,
    error_in,
    files,
)

MOST_BYTES = 2**22
PEAK_BYTES = 10 * MOST_BYTES
REFUSALS = (404, 413, 415, 422)

Sent = tuple[bytes, Mapping[str, str | bytes]]


@pytest.fixture
def settings() -> DoorSettings:
    return DoorSettings(
        default_model=MODEL,
        deadline_s=5,
        max_upload_bytes=MOST_BYTES,
        max_held_bytes=8 * MOST_BYTES,
        max_held_bytes_per_client=8 * MOST_BYTES,
    )


def json_of(**members: Any) -> Sent:
    return json.dumps(members).encode(), {}


def with_input(**changed: Any) -> Sent:
    """An input in JSON, with some members replaced; those that are None are left out."""
    tensor = {"name": "image", "datatype": "BYTES", "shape": [1], "data": ["aGVsbG8="], **changed}
    return json_of(inputs=[{name: value for name, value in tensor.items() if value is not None}])


def with_header(value: str | bytes) -> Sent:
    body, _ = body_of(files())
    return body, {LENGTH: value}


def with_size(size: Any, content: bytes = elements(b"12345")) -> Sent:
    described, _ = binary("image", "BYTES", [1], content)
    described["parameters"] = {"binary_data_size": size}
    return body_of((described, content))


def tensor(name: str, datatype: str, shape: list[Any], content: bytes = b"\0" * 12) -> Sent:
    return body_of(binary(name, datatype, shape, content))


def compressed(content: bytes, encoding: str = "gzip", **headers: str) -> Sent:
    return content, {"Content-Encoding": encoding, **headers}


def bomb(size_bytes: int) -> bytes:
    return gzip.compress(b" " * size_bytes)


GOOD, GOOD_HEADERS = body_of(files())
SMALL = gzip.compress(GOOD)

NESTED = b"[" * 1000 + b"]" * 1000

HOSTILE: dict[str, Sent] = {
    "a tensor that is lists within each other": (b'{"inputs": ' + NESTED + b"}", {}),
    "an id that is lists within each other": (b'{"id": ' + NESTED + b', "inputs": [{}]}', {}),
    "no body": (b"", {}),
    "no JSON": (b"\xff\xd8\xff", {}),
    "a list": (b"[]", {}),
    "a number": (b"7", {}),
    "JSON that ends early": (b'{"inputs": [', {}),
    "NaN in JSON": (b'{"inputs":[{"name":"image","datatype":"FP32","shape":[1],"data":[NaN]}]}', {}),
    "lists in lists": (b'{"inputs":' + b"[" * 100_000 + b"]" * 100_000 + b"}", {}),
    "lists in lists, not many": (b'{"inputs":' + b"[" * 5000 + b"]" * 5000 + b"}", {}),
    "very many values": (b'{"inputs":[' + b"1," * 2_097_000 + b"1]}", {}),
    "very many commas": (b'{"inputs":[' + b"1," * 2_098_000 + b"1]}", {}),
    "no inputs": json_of(inputs=[]),
    "inputs that are no list": json_of(inputs={"name": "image"}),
    "an input that is a number": json_of(inputs=[7]),
    "1,000 inputs": body_of(*[files(b"x")] * 1000),
    "two inputs": body_of(files(), files()),
    "1,000 outputs": json_of(inputs=[{}], outputs=[{"name": "boxes"}] * 1000),
    "an output twice": body_of(files(), outputs=[{"name": "boxes"}] * 2),
    "outputs that are text": body_of(files(), outputs="boxes"),
    "an unknown member": body_of(files(), outptus=[]),
    "an id that is a number": body_of(files(), id=7),
    "a very long id": body_of(files(), id="x" * 10_000),
    "parameters that are a list": body_of(files(), parameters=[1]),
    "a length of the header that is negative": with_header("-1"),
    "a length of the header beyond the body": with_header("99999999999999999999"),
    "a length of the header that is no number": with_header("0x10"),
    "a length of the header of thousands of digits": with_header("9" * 5000),
    "a length of the header of thousands of noughts": with_header("0" * 5000),
    "a length of the header in the middle of the JSON": with_header("20"),
    "a header of another script": with_header("²".encode("latin-1")),
    "a size that is negative": with_size(-1),
    "a size that is text": with_size("9"),
    "a size that is a fraction": with_size(9.5),
    "a size beyond the body": with_size(2**31),
    "a size that is too small": with_size(4),
    "a size that is true": with_size(True),
    "an element that is longer than it is": tensor("image", "BYTES", [1], b"\xff\xff\xff\xff1234"),
    "an element that is cut off": tensor("image", "BYTES", [1], b"\x05\0"),
    "elements that are left": tensor("image", "BYTES", [1], elements(b"12345", b"6")),
    "more elements than bytes": tensor("image", "BYTES", [2**31 - 1]),
    "33 images": body_of(files(*[b"x"] * 33)),
    "an empty image": body_of(files(b"")),
    "an image that is none": body_of(files(b"hello")),
    "a shape of 2**31": tensor("pixels", "UINT8", [2**31, 1, 3]),
    "a shape whose product is 2**93": tensor("pixels", "UINT8", [2**31 - 1] * 3),
    "a shape whose product wraps to 0": tensor("pixels", "UINT8", [2**30, 2**30, 2**4, 3], b""),
    "a negative shape": tensor("pixels", "UINT8", [-1, 2, 3]),
    "a shape of fractions": tensor("pixels", "UINT8", [2.0, 2, 3]),
    "a shape of truths": tensor("pixels", "UINT8", [True, 4, 3]),
    "an empty shape": tensor("pixels", "UINT8", []),
    "a shape of 1,000 dimensions": tensor("pixels", "UINT8", [1] * 1000),
    "a shape that does not fit": tensor("pixels", "UINT8", [2, 3, 3]),
    "no pixels": tensor("pixels", "UINT8", [0, 4, 3], b""),
    "four channels": tensor("pixels", "UINT8", [1, 3, 4]),
    "an image of one row that is too long": tensor("pixels", "UINT8", [1, 70_000, 3], b"\0" * 210_000),
    "pixels of FP32": tensor("pixels", "FP32", [1, 1, 3]),
    "an unknown datatype": tensor("pixels", "UINT7", [1, 4, 3]),
    "neither data nor bytes": with_input(data=None),
    "data and bytes": with_input(parameters={"binary_data_size": 0}),
    "shared memory": with_input(parameters={"shared_memory_region": "mine", "shared_memory_byte_size": 9}),
    "data that is no list": with_input(data="aGVsbG8="),
    "text that is no base64": with_input(data=["%%%"]),
    "an address": with_input(data=["http://169.254.169.254/latest"]),
    "numbers for text": with_input(data=[7]),
    "values beyond their datatype": with_input(name="pixels", datatype="UINT8", shape=[1, 1, 3], data=[0, 1, 256]),
    "values beyond every datatype": with_input(name="pixels", datatype="UINT8", shape=[1, 1, 3], data=[0, 1, 2**64]),
    "text among numbers": with_input(name="pixels", datatype="UINT8", shape=[1, 1, 3], data=[0, 1, "x" * 100_000]),
    "truths for numbers": with_input(name="pixels", datatype="UINT8", shape=[1, 1, 3], data=[0, 1, True]),
    "lists of different lengths": with_input(name="pixels", datatype="UINT8", shape=[1, 2, 3], data=[[[0, 1], [2]]]),
    "a list among numbers": with_input(name="pixels", datatype="UINT8", shape=[1, 1, 3], data=[0, [1, 2], 3]),
    "a gzip bomb": compressed(bomb(2**30)),
    "a deflate bomb": compressed(zlib.compress(b"\0" * 2**28), "deflate"),
    "a bomb in a bomb": compressed(gzip.compress(bomb(2**28))),
    "gzip that is none": compressed(b"hello"),
    "gzip that is cut off": compressed(SMALL[:-9], **GOOD_HEADERS),
    "gzip with more after it": compressed(SMALL + SMALL, **GOOD_HEADERS),
    "gzip with a wrong checksum": compressed(SMALL[:-8] + b"\0" * 8, **GOOD_HEADERS),
    "deflate that is gzip": compressed(SMALL, "deflate", **GOOD_HEADERS),
    "an encoding that is not read": compressed(GOOD, "br", **GOOD_HEADERS),
    "two encodings": compressed(SMALL, "gzip, gzip", **GOOD_HEADERS),
    "a body that is too large": (b" " * (MOST_BYTES + 1), {}),
}


async def test_each_is_refused_in_the_form_of_this_face_and_takes_little_memory(client: httpx.AsyncClient) -> None:
    # In one test: to build a door takes longer than to ask it.
    peaks_bytes: dict[str, int] = {}
    for name, (content, headers) in HOSTILE.items():
        tracemalloc.start()
        try:
            answer = await client.post(PATH, content=content, headers=headers)
            peaks_bytes[name] = tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
        assert answer.status_code in REFUSALS, (name, answer.text[:500])
        assert len(error_in(answer, *REFUSALS)) < 500, name
        # What was held is given back: the next one is answered.
        assert (await client.post(PATH, content=GOOD, headers=GOOD_HEADERS)).status_code == 200, name
    assert max(peaks_bytes.values()) < PEAK_BYTES, peaks_bytes


def test_they_are_many() -> None:
    assert len(HOSTILE) > 60


@pytest.mark.parametrize("shape", [[1, 3, 2**31 - 1, 1], [1, 3, 1, 1], [0, 3, 2, 2], [1, 3, 0, 0], [1, 1, 2, 6]])
async def test_rows_are_asked_for_with_a_network_s_input_only(
    client: httpx.AsyncClient, system: FakeSystem, shape: list[int]
) -> None:
    system.records_now[0] = record(MODEL, labels=("a", "b"))
    content, headers = tensor("images", "FP32", shape, b"\0" * 48)
    error_in(await client.post(RAW_PATH, content=content, headers=headers), *REFUSALS)
