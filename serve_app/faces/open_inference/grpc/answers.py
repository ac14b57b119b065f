"""Answers of `/v2` as messages. Pure."""

from typing import Any

import orjson
from google.protobuf.json_format import ParseDict
from google.protobuf.message import Message

from serve_app.faces.open_inference.grpc.in_process import HttpAnswer
from serve_app.faces.open_inference.grpc.open_inference_pb2 import (
    ModelConfigResponse,
    ModelInferResponse,
    RepositoryIndexResponse,
)
from serve_app.faces.open_inference.inference import LENGTH_HEADER


def document(answer: HttpAnswer, into: Message) -> bytes:
    """A JSON object whose members are the fields of `into`."""
    return _filled(orjson.loads(answer.body), into)


def config(answer: HttpAnswer) -> bytes:
    """A ModelConfigResponse."""
    return _filled({"config": orjson.loads(answer.body)}, ModelConfigResponse())


def index(answer: HttpAnswer) -> bytes:
    """A RepositoryIndexResponse."""
    return _filled({"models": orjson.loads(answer.body)}, RepositoryIndexResponse())


def _filled(members: dict[str, Any], message: Message) -> bytes:
    written: bytes = ParseDict(members, message).SerializeToString()
    return written


def inference(answer: HttpAnswer) -> bytes:
    """A ModelInferResponse, with the outputs as raw bytes."""
    at = int(answer.headers[LENGTH_HEADER.lower()])
    found = orjson.loads(memoryview(answer.body)[:at])
    message = ModelInferResponse(
        model_name=found["model_name"], model_version=found["model_version"], id=found.get("id", "")
    )
    for output in found["outputs"]:
        message.outputs.add(name=output["name"], datatype=output["datatype"], shape=output["shape"])
        size_bytes = output["parameters"]["binary_data_size"]
        message.raw_output_contents.append(answer.body[at : at + size_bytes])
        at += size_bytes
    written: bytes = message.SerializeToString()
    return written
