"""Messages as requests to the paths of `/v2`. Pure."""

import math
from collections import deque
from collections.abc import Mapping
from typing import Any

import orjson

from deployments.errors import InvalidRequest, ModelNotFound
from serve_app.faces.open_inference.envelope import MAX_NUMBERS
from serve_app.faces.open_inference.grpc.in_process import HttpCall
from serve_app.faces.open_inference.grpc.open_inference_pb2 import (
    InferParameter,
    ModelInferRequest,
    ModelStatisticsRequest,
    RepositoryIndexRequest,
    RepositoryModelLoadRequest,
    RepositoryModelUnloadRequest,
)
from serve_app.faces.open_inference.inference import LENGTH_HEADER
from serve_app.faces.open_inference.tensors import BYTES, DATATYPES, InputTensor, with_length

MODELS = "/v2/models"
UNREAD = f"{MODELS}/-/infer"
"""Stands for the path of a message that is not read."""

_LISTS = {
    "BOOL": "bool_contents",
    **dict.fromkeys(("INT8", "INT16", "INT32"), "int_contents"),
    "INT64": "int64_contents",
    **dict.fromkeys(("UINT8", "UINT16", "UINT32"), "uint_contents"),
    "UINT64": "uint64_contents",
    "FP32": "fp32_contents",
    "FP64": "fp64_contents",
    BYTES: "bytes_contents",
}
"""Datatype -> the list in InferTensorContents that holds its values. FP16 has none."""

_OF_HTTP = ("binary_data", "binary_data_output", "binary_data_size")

_STATISTICS = "stats"
"""Not the name of a model, where a path is."""


def model_path(name: str, version: str = "", below: str = "") -> str:
    """The path of a model, whatever its name has in it. Raises InvalidRequest where there is none."""
    if not name:
        raise InvalidRequest("the name of the model is missing")
    if name == _STATISTICS:
        raise ModelNotFound(f"there is no model {name!r}")
    of_version = f"/versions/{_segment(version)}" if version else ""
    return f"{MODELS}/{_segment(name)}{of_version}{below}"


def _segment(name: str) -> str:
    """No model has such a name; the answer says so."""
    return name.replace("/", "%2F")


def statistics_call(message: ModelStatisticsRequest) -> HttpCall:
    """Of one model, or of all where none is named."""
    if not message.name and not message.version:
        return HttpCall("GET", f"{MODELS}/{_STATISTICS}")
    return HttpCall("GET", model_path(message.name, message.version, "/stats"))


def index_call(message: RepositoryIndexRequest) -> HttpCall:
    """Of all models, or of those that are ready."""
    _check_repository(message.repository_name)
    return HttpCall("POST", "/v2/repository/index", _json({"ready": message.ready}))


def load_call(message: RepositoryModelLoadRequest) -> HttpCall:
    """Of parameters only their names count, as all of them are refused."""
    return _change_call(message, "load")


def unload_call(message: RepositoryModelUnloadRequest) -> HttpCall:
    """Of parameters only their names count."""
    return _change_call(message, "unload")


def _change_call(message: RepositoryModelLoadRequest | RepositoryModelUnloadRequest, change: str) -> HttpCall:
    _check_repository(message.repository_name)
    path = model_path(message.model_name).removeprefix(MODELS)
    body = _json({"parameters": dict.fromkeys(message.parameters)})
    return HttpCall("POST", f"/v2/repository/models{path}/{change}", body)


def _check_repository(name: str) -> None:
    if name:
        raise InvalidRequest(f"repository_name must be empty, as there is one repository here, got {name[:64]!r}")


def infer_call(message: ModelInferRequest) -> HttpCall:
    """All tensors as bytes after the JSON, and all outputs are asked for in the same way. Raises InvalidRequest."""
    path = model_path(message.model_name, message.model_version, "/infer")
    contents = _contents(message)
    head: dict[str, Any] = {
        "id": message.id,
        "parameters": {**_parameters(message.parameters), "binary_data_output": True},
        "inputs": [
            _input(tensor, sum(map(len, parts))) for tensor, parts in zip(message.inputs, contents, strict=True)
        ],
        "outputs": [{"name": one.name, "parameters": _parameters(one.parameters)} for one in message.outputs],
    }
    [text] = _json(head)
    headers = [(LENGTH_HEADER.lower().encode(), str(len(text)).encode())]
    return HttpCall("POST", path, deque([text, *(part for parts in contents for part in parts)]), headers)


def _input(tensor: ModelInferRequest.InferInputTensor, size_bytes: int) -> dict[str, Any]:
    return {
        "name": tensor.name,
        "datatype": tensor.datatype,
        "shape": list(tensor.shape),
        "parameters": {**_parameters(tensor.parameters), "binary_data_size": size_bytes},
    }


def _contents(message: ModelInferRequest) -> list[list[bytes]]:
    """The bytes of each input, in parts."""
    raw = list(message.raw_input_contents)
    if not raw:
        return [_listed(tensor, f"inputs[{index}]") for index, tensor in enumerate(message.inputs)]
    if len(raw) != len(message.inputs):
        raise InvalidRequest(
            f"raw_input_contents must have one entry for each of the {len(message.inputs)} inputs, or none, "
            f"got {len(raw)}"
        )
    for index, tensor in enumerate(message.inputs):
        if tensor.contents.ListFields():
            raise InvalidRequest(f"inputs[{index}] has contents, and raw_input_contents are there; send one of them")
    return [[content] for content in raw]


def _listed(tensor: ModelInferRequest.InferInputTensor, where: str) -> list[bytes]:
    """The bytes of a tensor whose values are in a list."""
    datatype = tensor.datatype
    if datatype not in DATATYPES:
        return []  # it is refused by its name, where the JSON is read
    wanted = _LISTS.get(datatype)
    for given, _ in tensor.contents.ListFields():
        if given.name != wanted:
            instead = f"stand in {wanted}" if wanted else "come as raw_input_contents"
            raise InvalidRequest(f"{where}.contents: values of {datatype} must {instead}, got {given.name}")
    values = getattr(tensor.contents, wanted) if wanted else ()
    if datatype == BYTES:
        return [with_length(element) for element in values]
    if len(values) > MAX_NUMBERS:
        raise InvalidRequest(
            f"{where}.contents has {len(values)} values, the limit is {MAX_NUMBERS}; send raw_input_contents"
        )
    return [InputTensor(tensor.name, datatype, (len(values),), list(values)).numbers().tobytes()] if wanted else []


def _parameters(given: Mapping[str, InferParameter]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, parameter in given.items():
        choice = parameter.WhichOneof("parameter_choice")
        if name in _OF_HTTP:
            raise InvalidRequest(f"{name} is a parameter of HTTP; over gRPC, tensors are bytes in any case")
        value = getattr(parameter, choice) if choice else None
        if value is None or (isinstance(value, float) and not math.isfinite(value)):
            raise InvalidRequest(f"the parameter {name[:64]!r} must have a value that is finite, got {value}")
        found[name] = value
    return found


def _json(members: Mapping[str, Any]) -> "deque[bytes]":
    return deque([orjson.dumps(members)])
