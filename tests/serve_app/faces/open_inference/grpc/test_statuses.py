"""The table from errors to status codes of gRPC."""

import grpc
import pytest
from grpc import StatusCode

from deployments.errors import (
    DeadlineExceeded,
    InternalError,
    InvalidImage,
    ModelCrashed,
    ModelUnavailable,
    Overloaded,
    ServingError,
    all_error_types,
)
from serve_app.faces.open_inference.grpc.statuses import OF_HTTP, STATUS, status_of
from serve_app.http.problems import STATUS as HTTP_STATUS
from tests.serve_app.conftest import FakeSystem
from tests.serve_app.faces.open_inference.grpc.asking import infer_request, refusal


def test_every_error_of_the_core_has_a_status_code() -> None:
    assert set(STATUS) == set(all_error_types()) == set(HTTP_STATUS)


def test_what_the_door_answers_without_the_core_has_one_that_agrees_with_the_core_s() -> None:
    for kind, http_status in HTTP_STATUS.items():
        assert status_of(http_status, kind.code) is STATUS[kind]
        if http_status in OF_HTTP and kind is not ModelCrashed:
            assert OF_HTTP[http_status] is STATUS[kind]
    assert status_of(418, "") is StatusCode.INTERNAL


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (InvalidImage("the file is broken"), StatusCode.INVALID_ARGUMENT),
        (ModelUnavailable("it is being replaced"), StatusCode.UNAVAILABLE),
        (ModelCrashed("its replicas died"), StatusCode.FAILED_PRECONDITION),
        (Overloaded("too much waits"), StatusCode.RESOURCE_EXHAUSTED),
        (DeadlineExceeded("no answer in 5 s"), StatusCode.DEADLINE_EXCEEDED),
        (InternalError("something broke"), StatusCode.INTERNAL),
    ],
)
async def test_an_error_is_told_with_its_sentence(
    channel: grpc.aio.Channel, system: FakeSystem, error: ServingError, status: StatusCode
) -> None:
    system.fails_with = error
    found = await refusal(channel, "ModelInfer", infer_request().SerializeToString())
    assert (found.code(), found.details()) == (status, error.message)
    metadata = dict(found.trailing_metadata())
    assert len(str(metadata["x-request-id"])) == 36
    assert ("retry-after" in metadata) == (type(error) in (ModelUnavailable, Overloaded))


async def test_a_fault_of_ours_is_told_without_details(channel: grpc.aio.Channel, system: FakeSystem) -> None:
    system.fails_with = ZeroDivisionError("secret")
    found = await refusal(channel, "ModelInfer", infer_request().SerializeToString())
    assert (found.code(), found.details()) == (StatusCode.INTERNAL, "the server failed on this request")


async def test_a_long_sentence_is_cut(channel: grpc.aio.Channel, system: FakeSystem) -> None:
    system.fails_with = ModelUnavailable("ß" * 50_000)
    found = await refusal(channel, "ModelInfer", infer_request().SerializeToString())
    assert found.code() is StatusCode.UNAVAILABLE
    assert len(str(found.details())) == 600
