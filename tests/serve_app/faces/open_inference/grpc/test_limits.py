"""How many calls and connections there may be, large messages, and how a call ends that is given up."""

import asyncio
import contextlib
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from grpc import ChannelConnectivity, StatusCode
from starlette.types import ASGIApp

from serve_app.access.keys import Scope
from serve_app.faces.open_inference.grpc.limits import Limits
from serve_app.faces.open_inference.grpc.server import GrpcServer
from serve_app.settings import DoorSettings
from tests.serve_app.access.guarded import Guarded, an_entry, write
from tests.serve_app.conftest import record
from tests.serve_app.faces.open_inference.asking import MODEL
from tests.serve_app.faces.open_inference.grpc.asking import (
    called,
    connected,
    infer_request,
    outputs_in,
    refusal,
    sent,
    served,
)
from tests.serve_app.faces.open_inference.grpc.slow import (
    INFER,
    INFER_PATH,
    WAIT_S,
    SlowSystem,
    begun,
)
from tests.serve_app.faces.v1.predicting import prediction, two_animals
from tests.serve_app.real_door import door_of


@pytest.fixture
def system() -> SlowSystem:
    return SlowSystem([record(MODEL), record("other")], fails_with=prediction(two_animals()))


@pytest.mark.parametrize("is_patient", [True, False])
async def test_a_call_that_is_given_up_frees_its_place(system: SlowSystem, tmp_path: Path, is_patient: bool) -> None:
    guarded = Guarded(tmp_path, system)
    write(guarded.file, an_entry("one", guarded.predict, Scope.PREDICT, concurrency=1))
    guarded.clock.now_s += 5
    metadata = [("x-api-key", guarded.predict)]
    api, access = guarded.api()
    async with served(api, Limits.of(guarded.settings), access.knows) as address, connected(address) as channel:
        call = channel.unary_unary(INFER_PATH)(INFER, metadata=metadata, timeout=None if is_patient else 0.3)
        first = asyncio.ensure_future(call.code())
        await system.in_work.becomes(1)
        if is_patient:
            error = await refusal(channel, "ModelInfer", INFER, metadata)
            assert error.code() is StatusCode.RESOURCE_EXHAUSTED
            assert "requests under way, which is its limit" in str(error.details())
            call.cancel()
        assert await first is (StatusCode.CANCELLED if is_patient else StatusCode.DEADLINE_EXCEEDED)
        await system.in_work.becomes(0)
        system.may_answer.set()
        assert await sent(channel, "ModelInfer", INFER, metadata)


async def test_a_server_that_stops_ends_what_it_began(
    api: ASGIApp, settings: DoorSettings, system: SlowSystem
) -> None:
    server = GrpcServer(api, Limits.of(settings))
    port = await server.start("127.0.0.1", 0)
    async with connected(f"127.0.0.1:{port}") as channel, connected(f"127.0.0.1:{port}") as later:
        call = begun(channel)
        await system.in_work.becomes(1)
        stopping = asyncio.create_task(server.stop())
        error = await refusal(later, "ModelInfer", INFER)
        assert error.code() is StatusCode.UNAVAILABLE
        assert not stopping.done()
        system.may_answer.set()
        assert await call.code() is StatusCode.OK
        await stopping


async def test_a_server_that_stops_does_not_wait_for_ever(
    api: ASGIApp, settings: DoorSettings, system: SlowSystem
) -> None:
    server = GrpcServer(api, Limits.of(settings))
    port = await server.start("127.0.0.1", 0)
    async with connected(f"127.0.0.1:{port}") as channel:
        call = begun(channel)
        await system.in_work.becomes(1)
        await server.stop(0.1)
        assert await call.code() is not StatusCode.OK
        await system.in_work.becomes(0)


async def test_calls_over_their_number_are_refused(api: ASGIApp, settings: DoorSettings, system: SlowSystem) -> None:
    limits = replace(Limits.of(settings), max_calls=2)
    async with served(api, limits) as address, connected(address) as channel:
        calls = [begun(channel) for _ in range(2)]
        await system.in_work.becomes(2)
        error = await refusal(channel, "ModelInfer", INFER)
        assert error.code() is StatusCode.RESOURCE_EXHAUSTED
        system.may_answer.set()
        assert [await call.code() for call in calls] == [StatusCode.OK] * 2
        assert await sent(channel, "ModelInfer", INFER)


async def test_connections_over_their_number_are_closed(
    api: ASGIApp, settings: DoorSettings, system: SlowSystem
) -> None:
    system.may_answer.set()
    limits = replace(Limits.of(settings), max_connections=2)
    async with served(api, limits) as address, connected(address) as first:
        assert await sent(first, "ModelInfer", INFER)
        async with connected(address) as second:
            assert await sent(second, "ModelInfer", INFER)
            async with connected(address) as third:
                assert (await refusal(third, "ModelInfer", INFER)).code() is StatusCode.UNAVAILABLE
            assert await sent(first, "ModelInfer", INFER)


async def test_no_call_outlives_its_connection(api: ASGIApp, settings: DoorSettings, system: SlowSystem) -> None:
    limits = replace(Limits.of(settings), connection_s=1, last_call_s=0.5)
    async with served(api, limits) as address, connected(address) as channel:
        call = begun(channel)
        await system.in_work.becomes(1)
        assert await call.code() is StatusCode.UNAVAILABLE
        await system.in_work.becomes(0)
    async with served(api, replace(limits, last_call_s=20)) as address, connected(address) as channel:
        calls = [begun(channel)]
        await system.in_work.becomes(1)
        await asyncio.wait_for(channel.wait_for_state_change(ChannelConnectivity.READY), WAIT_S)
        system.may_answer.set()
        # Those under way end on the old connection, and others have a new one.
        assert [await call.code() for call in (*calls, begun(channel))] == [StatusCode.OK] * 2


@pytest.mark.parametrize("said", [b"", b"PRI * HTTP/2.0\r\n", b"GET / HTTP/1.1\r\nHost: door\r\n\r\n"])
async def test_a_connection_that_is_not_grpc_s_is_closed(api: ASGIApp, settings: DoorSettings, said: bytes) -> None:
    async with served(api, replace(Limits.of(settings), greeting_s=0.2)) as address:
        host, _, port = address.partition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(said)
        async with asyncio.timeout(WAIT_S):
            with contextlib.suppress(ConnectionResetError):
                await reader.read()
        writer.close()


async def test_memory_for_uploads_is_shared_with_those_over_http(system: SlowSystem, tmp_path: Path) -> None:
    api = door_of(system, tmp_path, max_upload_bytes=200_000)
    frame = infer_request(("pixels", "UINT8", (200, 250, 3), bytes(150_000))).SerializeToString()
    limits = Limits.of(DoorSettings(max_upload_bytes=200_000))
    async with served(api, limits) as address, connected(address) as channel:
        first = channel.unary_unary(INFER_PATH)(frame)
        await system.in_work.becomes(1)
        error = await refusal(channel, "ModelInfer", frame)
        assert error.code() is StatusCode.RESOURCE_EXHAUSTED
        assert "this client holds" in str(error.details())
        system.may_answer.set()
        assert await first.code() is StatusCode.OK
        assert await sent(channel, "ModelInfer", frame)


async def test_two_servers_share_a_port_and_others_are_told_that_it_is_taken(
    api: ASGIApp, settings: DoorSettings
) -> None:
    first, second = (GrpcServer(api, Limits.of(settings)) for _ in range(2))
    port = await first.start("127.0.0.1", 0)
    assert await second.start("127.0.0.1", port) == port
    await first.stop(0)
    async with connected(f"127.0.0.1:{port}") as channel:
        assert await sent(channel, "ServerLive", b"")
    await second.stop(0)
    with pytest.raises(OSError, match=r"gRPC cannot listen on 203\.0\.113\.7:1"):
        await first.start("203.0.113.7", 1)


async def test_fifty_megabytes_of_pixels_on_a_connection(api: ASGIApp, system: SlowSystem) -> None:
    system.may_answer.set()
    frames = np.zeros((8, 1080, 1920, 3), np.uint8)
    frames[3] = 7
    assert frames.nbytes > 49 * 10**6
    limits = Limits.of(DoorSettings())
    message = infer_request(("pixels", "UINT8", frames.shape, frames.tobytes()))
    async with served(api, limits) as address, connected(address, max_send_message_length=2**26) as channel:
        answer = await called(channel, "ModelInfer", message)
    assert outputs_in(answer)["image_index"].tolist() == [index for index in range(8) for _ in range(2)]
    assert [int(request.image.pixels[0, 0, 0]) for _, request in system.asked] == [0, 0, 0, 7, 0, 0, 0, 0]  # type: ignore[index]


async def test_a_thousand_calls_on_one_connection(api: ASGIApp, settings: DoorSettings, system: SlowSystem) -> None:
    system.may_answer.set()
    async with served(api, Limits.of(settings)) as address, connected(address) as channel:
        for _ in range(20):
            answers = await asyncio.gather(*(called(channel, "ModelInfer", infer_request()) for _ in range(50)))
            assert all(answer.outputs[0].shape == [2, 4] for answer in answers)
    assert len(system.asked) == 1000
