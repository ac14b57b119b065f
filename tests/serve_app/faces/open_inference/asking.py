"""Requests as clients of the protocol write them, and their answers."""

import math
import struct
from collections.abc import Mapping, Sequence
from typing import Any

import httpx
import numpy as np
import orjson
from numpy.typing import NDArray

from tests.serve_app.uploads import picture

MODEL = "benthic-demo"
PATH = f"/v2/models/{MODEL}/infer"
RAW_PATH = f"/v2/models/{MODEL}-raw/infer"
LENGTH = "Inference-Header-Content-Length"
DTYPES = {"FP32": "<f4", "INT64": "<i8"}


def elements(*contents: bytes) -> bytes:
    return b"".join(struct.pack("<I", len(content)) + content for content in contents)


def binary(name: str, datatype: str, shape: Sequence[int], content: bytes) -> tuple[dict[str, Any], bytes]:
    """A tensor whose bytes stand after the JSON."""
    size = {"binary_data_size": len(content)}
    return {"name": name, "datatype": datatype, "shape": list(shape), "parameters": size}, content


def files(*contents: bytes) -> tuple[dict[str, Any], bytes]:
    sent = contents or (picture(),)
    return binary("image", "BYTES", [len(sent)], elements(*sent))


def pixels(values: NDArray[Any], name: str = "pixels") -> tuple[dict[str, Any], bytes]:
    return binary(name, "UINT8" if values.dtype == np.uint8 else "FP32", values.shape, values.tobytes())


def body_of(*tensors: tuple[dict[str, Any], bytes], **members: Any) -> tuple[bytes, dict[str, str]]:
    """The body, and the header that says where its tensors begin."""
    text = orjson.dumps({"inputs": [described for described, _ in tensors], **members})
    return b"".join([text, *(content for _, content in tensors)]), {LENGTH: str(len(text))}


async def infer(
    client: httpx.AsyncClient, *tensors: tuple[dict[str, Any], bytes], path: str = PATH, **members: Any
) -> httpx.Response:
    body, headers = body_of(*(tensors or (files(),)), **members)
    return await client.post(path, content=body, headers=headers)


async def infer_json(client: httpx.AsyncClient, path: str = PATH, **members: Any) -> httpx.Response:
    return await client.post(path, json=members)


def outputs_in(answer: httpx.Response) -> dict[str, Any]:
    """Output -> its values in its shape, of an answer in JSON, in bytes or mixed."""
    assert answer.status_code == 200, answer.text
    content = answer.content
    text = int(answer.headers.get(LENGTH, len(content)))
    at = text
    found: dict[str, Any] = {}
    for output in orjson.loads(content[:text])["outputs"]:
        size = output.get("parameters", {}).get("binary_data_size")
        if size is None:
            values = output["data"]
        else:
            values = values_in(output, content[at : at + size])
            at += size
        assert len(values) == math.prod(output["shape"]), output
        is_text = output["datatype"] == "BYTES"
        found[output["name"]] = values if is_text else np.reshape(values, output["shape"])
    assert at == len(content)
    return found


def values_in(output: Mapping[str, Any], content: bytes) -> Any:
    if output["datatype"] != "BYTES":
        return np.frombuffer(content, DTYPES[output["datatype"]])
    texts = []
    while content:
        (length,) = struct.unpack_from("<I", content)
        texts.append(content[4 : 4 + length].decode())
        content = content[4 + length :]
    return texts


def error_in(answer: httpx.Response, *statuses: int) -> str:
    """What the clients of this face find of a problem."""
    assert answer.status_code in statuses, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert body["error"] == body["detail"] != ""
    assert "Traceback" not in answer.text
    error: str = body["error"]
    return error
