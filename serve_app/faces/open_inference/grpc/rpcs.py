"""Which path of `/v2` answers which call: the one table, complete by a test."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from google.protobuf.message import Message

from deployments.errors import ModelNotFound, ModelUnavailable
from serve_app.faces.open_inference.grpc import answers, requests
from serve_app.faces.open_inference.grpc import open_inference_pb2 as messages
from serve_app.faces.open_inference.grpc.in_process import HttpAnswer, HttpCall
from serve_app.faces.open_inference.grpc.requests import model_path
from serve_app.faces.open_inference.grpc.wire import check_infer_request, check_small

SERVICE = "inference.GRPCInferenceService"


@dataclass(frozen=True, slots=True)
class Rpc:
    """One call."""

    request: type[Message]

    call: Callable[[Any], HttpCall]
    """From the message to the request of HTTP. May raise ServingError."""

    answer: Callable[[HttpAnswer], bytes]
    """From an answer that is no error to the message, as it is written."""

    check: Callable[[bytes], None] = check_small
    """Looks at the message before it is read. May raise InvalidRequest."""

    no: Mapping[str, bytes] = field(default_factory=dict)
    """Codes of errors that are an answer too -> the message, as it is written."""

    @property
    def is_empty(self) -> bool:
        """Whether its message has no fields, so that it need not be read."""
        return not self.request.DESCRIPTOR.fields


def _get(path: str) -> Callable[[Any], HttpCall]:
    return lambda message: HttpCall("GET", path)


def _get_of_model(below: str = "") -> Callable[[Any], HttpCall]:
    return lambda message: HttpCall("GET", model_path(message.name, message.version, below))


def _always(message: Message) -> Callable[[HttpAnswer], bytes]:
    written: bytes = message.SerializeToString()
    return lambda answer: written


def _filled(kind: type[Message]) -> Callable[[HttpAnswer], bytes]:
    return lambda answer: answers.document(answer, kind())


_NO = b""
"""Whatever is asked for is false."""

RPCS: Mapping[str, Rpc] = {
    "ServerLive": Rpc(
        messages.ServerLiveRequest, _get("/v2/health/live"), _always(messages.ServerLiveResponse(live=True))
    ),
    "ServerReady": Rpc(
        messages.ServerReadyRequest,
        _get("/v2/health/ready"),
        _always(messages.ServerReadyResponse(ready=True)),
        no={ModelUnavailable.code: _NO},
    ),
    "ServerMetadata": Rpc(messages.ServerMetadataRequest, _get("/v2"), _filled(messages.ServerMetadataResponse)),
    "ModelReady": Rpc(
        messages.ModelReadyRequest,
        _get_of_model("/ready"),
        _always(messages.ModelReadyResponse(ready=True)),
        no=dict.fromkeys((ModelUnavailable.code, ModelNotFound.code), _NO),
    ),
    "ModelMetadata": Rpc(messages.ModelMetadataRequest, _get_of_model(), _filled(messages.ModelMetadataResponse)),
    "ModelInfer": Rpc(messages.ModelInferRequest, requests.infer_call, answers.inference, check=check_infer_request),
    "ModelConfig": Rpc(messages.ModelConfigRequest, _get_of_model("/config"), answers.config),
    "ModelStatistics": Rpc(
        messages.ModelStatisticsRequest, requests.statistics_call, _filled(messages.ModelStatisticsResponse)
    ),
    "RepositoryIndex": Rpc(messages.RepositoryIndexRequest, requests.index_call, answers.index),
    "RepositoryModelLoad": Rpc(
        messages.RepositoryModelLoadRequest,
        requests.load_call,
        _always(messages.RepositoryModelLoadResponse()),
    ),
    "RepositoryModelUnload": Rpc(
        messages.RepositoryModelUnloadRequest,
        requests.unload_call,
        _always(messages.RepositoryModelUnloadResponse()),
    ),
}
"""Name of the call -> what answers it."""
