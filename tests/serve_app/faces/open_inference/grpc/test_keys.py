"""Keys, scopes and their limits, over gRPC."""

from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest
from grpc import StatusCode

from serve_app.access.key_ring import KeyRing
from serve_app.access.keys import Scope
from serve_app.faces.open_inference.grpc import open_inference_pb2 as messages
from serve_app.faces.open_inference.grpc.limits import Limits
from serve_app.faces.open_inference.grpc.rpcs import RPCS
from tests.serve_app.access.guarded import Guarded, an_entry, write
from tests.serve_app.conftest import FakeSystem
from tests.serve_app.faces.open_inference.grpc.asking import called, connected, infer_request, refusal, sent, served

INFER = infer_request().SerializeToString()
OPEN = ("ServerLive", "ServerReady", "ServerMetadata")


@pytest.fixture
def guarded(system: FakeSystem, tmp_path: Path) -> Guarded:
    return Guarded(tmp_path, system)


@pytest.fixture
async def channel(guarded: Guarded) -> AsyncIterator[grpc.aio.Channel]:
    api, access = guarded.api()
    async with served(api, Limits.of(guarded.settings), access.knows) as address, connected(address) as channel:
        yield channel
    if guarded.system.replica is not None:
        await guarded.system.replica.close()


async def test_without_a_key_only_health_is_told(channel: grpc.aio.Channel) -> None:
    for name, rpc in RPCS.items():
        message = rpc.request()
        if name in OPEN:
            await called(channel, name, message)
            continue
        error = await refusal(channel, name, message.SerializeToString())
        assert error.code() is StatusCode.UNAUTHENTICATED, name
        assert "asks for an API key" in str(error.details())
        assert dict(error.trailing_metadata())["www-authenticate"] == 'Bearer realm="fathomnet-serve"'


async def test_a_key_is_shown_as_over_http(channel: grpc.aio.Channel, guarded: Guarded) -> None:
    for metadata in (("authorization", f"Bearer {guarded.predict}"), ("x-api-key", guarded.admin)):
        assert await sent(channel, "ModelInfer", INFER, [metadata])
    for wrong in (guarded.wrong, guarded.expired, ""):
        error = await refusal(channel, "ModelInfer", INFER, [("x-api-key", wrong)])
        assert (error.code(), error.details()) == (StatusCode.UNAUTHENTICATED, "this API key is not valid")
    error = await refusal(channel, "ModelInfer", INFER, [("x-api-key", guarded.metrics)])
    assert error.code() is StatusCode.PERMISSION_DENIED
    assert "lacks the scope predict" in str(error.details())


async def test_a_revoked_key_counts_no_more(channel: grpc.aio.Channel, guarded: Guarded) -> None:
    metadata = [("x-api-key", guarded.revoked)]
    await called(channel, "ModelReady", messages.ModelReadyRequest(name="other"), metadata)
    guarded.revoke()
    assert (await refusal(channel, "ModelInfer", INFER, metadata)).code() is StatusCode.UNAUTHENTICATED


async def test_limits_of_a_key_hold(channel: grpc.aio.Channel, guarded: Guarded) -> None:
    write(guarded.file, an_entry("slow", guarded.predict, Scope.PREDICT, requests_per_s=1, burst=1))
    guarded.clock.now_s += 5
    metadata = [("x-api-key", guarded.predict)]
    assert await sent(channel, "ModelInfer", INFER, metadata)
    error = await refusal(channel, "ModelInfer", INFER, metadata)
    assert error.code() is StatusCode.RESOURCE_EXHAUSTED
    assert "may send 1 requests per second" in str(error.details())
    assert dict(error.trailing_metadata())["retry-after"] == "1"


async def test_keys_that_cannot_be_read_are_no_model_that_is_not_ready(guarded: Guarded, tmp_path: Path) -> None:
    guarded.ring = KeyRing(tmp_path / "nothing.toml", guarded.clock)
    api, access = guarded.api()
    message = messages.ModelReadyRequest(name="other").SerializeToString()
    async with served(api, Limits.of(guarded.settings), access.knows) as address, connected(address) as channel:
        error = await refusal(channel, "ModelReady", message, [("x-api-key", guarded.predict)])
    assert error.code() is StatusCode.UNAVAILABLE
    assert "file of keys cannot be read" in str(error.details())
