"""How many messages may arrive at a time, and how little those take that wait."""

import asyncio
import sys
import threading
from dataclasses import replace

import pytest
from grpc import StatusCode
from starlette.types import ASGIApp

from serve_app.faces.open_inference.grpc.calls import Calls, everybody
from serve_app.faces.open_inference.grpc.in_process import scope_of
from serve_app.faces.open_inference.grpc.limits import Limits
from serve_app.faces.open_inference.grpc.places import ArrivalPlaces
from serve_app.faces.open_inference.grpc.rpcs import RPCS
from serve_app.settings import DoorSettings
from tests.serve_app.conftest import record
from tests.serve_app.faces.open_inference.asking import MODEL
from tests.serve_app.faces.open_inference.grpc.asking import (
    connected,
    sent,
    served,
)
from tests.serve_app.faces.open_inference.grpc.resident import Peak
from tests.serve_app.faces.open_inference.grpc.slow import (
    INFER,
    INFER_PATH,
    WAIT_S,
    Come,
    Count,
    SlowSystem,
    begun,
    silent,
)
from tests.serve_app.faces.v1.predicting import prediction, two_animals


@pytest.fixture
def system() -> SlowSystem:
    return SlowSystem([record(MODEL), record("other")], fails_with=prediction(two_animals()))


def small(settings: DoorSettings) -> Limits:
    return replace(Limits.of(settings), places=1, places_per_client=1)


def test_places_follow_from_the_memory_for_uploads() -> None:
    by_default = Limits.of(DoorSettings())
    assert (by_default.max_message_bytes, by_default.places, by_default.places_per_client) == (2**26, 8, 4)
    large = Limits.of(DoorSettings(max_upload_bytes=2**30))
    assert (large.places, large.places_per_client) == (1, 1)


async def test_no_client_has_all_places() -> None:
    places = ArrivalPlaces(3, 2)
    log: list[str] = []
    have_one = Count()
    may_go = asyncio.Event()

    async def come(client: str) -> None:
        async with places.taken(client):
            log.append(client)
            have_one.add(1)
            await may_go.wait()

    tasks = [asyncio.create_task(come(client)) for client in ("a", "a", "a", "b", "c")]
    await have_one.becomes(3)
    assert log == ["a", "a", "b"]
    tasks[2].cancel()  # whoever waits may give up
    may_go.set()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert log == ["a", "a", "b", "c"]
    assert not places._by_client


async def test_a_message_waits_until_another_has_arrived(
    api: ASGIApp, settings: DoorSettings, system: SlowSystem
) -> None:
    system.may_answer.set()
    come = Come()
    async with served(api, small(settings), come) as address, connected(address) as channel:
        holds = silent(channel)
        await come.calls.becomes(1)
        waits = begun(channel)
        await come.calls.becomes(2)
        # What needs no message is answered meanwhile.
        for _ in range(20):
            await sent(channel, "ServerLive", b"")
        assert not waits.done()
        holds.cancel()
        assert await waits.code() is StatusCode.OK


async def test_while_a_model_works_the_place_is_free(
    api: ASGIApp, settings: DoorSettings, system: SlowSystem
) -> None:
    async with served(api, small(settings)) as address, connected(address) as channel:
        calls = [begun(channel) for _ in range(3)]
        await system.in_work.becomes(3)
        system.may_answer.set()
        assert [await call.code() for call in calls] == [StatusCode.OK] * 3


async def test_a_message_that_does_not_come_is_not_waited_for(api: ASGIApp, settings: DoorSettings) -> None:
    limits = replace(small(settings), message_s=0.1)
    calls = Calls(api, limits, everybody)
    scope = scope_of([], ("10.0.0.1", 7))

    async def never() -> object:
        return await asyncio.Event().wait()

    answered = await calls.answer(RPCS["ModelInfer"], scope, never)
    assert answered.status is StatusCode.DEADLINE_EXCEEDED
    assert "had not arrived after 0.1 s" in answered.sentence
    async with served(api, limits) as address, connected(address) as channel:
        call = silent(channel)
        assert await call.code() is StatusCode.DEADLINE_EXCEEDED


async def test_of_large_messages_one_is_read_at_a_time_though_its_call_is_given_up(
    api: ASGIApp, settings: DoorSettings
) -> None:
    begun_at: list[int] = []
    may_end = threading.Event()

    def slow_check(message: bytes) -> None:
        begun_at.append(len(message))
        may_end.wait(WAIT_S)

    calls = Calls(api, Limits.of(settings), everybody)
    rpc = replace(RPCS["ModelInfer"], check=slow_check)

    async def large() -> object:
        return INFER + bytes(2**20)

    asked = [asyncio.create_task(calls.answer(rpc, scope_of([], ("10.0.0.1", 7)), large)) for _ in range(2)]
    async with asyncio.timeout(WAIT_S):
        while not begun_at:
            await asyncio.to_thread(may_end.wait, 0.01)
    asked[0].cancel()
    await asyncio.wait(asked, timeout=0.1)
    assert len(begun_at) == 1
    may_end.set()
    ended = await asyncio.gather(*asked, return_exceptions=True)
    assert isinstance(ended[0], asyncio.CancelledError)
    assert len(begun_at) == 2


async def test_a_call_without_a_message_is_told_so(api: ASGIApp, settings: DoorSettings) -> None:
    async with served(api, small(settings)) as address, connected(address) as channel:
        call = channel.stream_unary(INFER_PATH)()
        await call.done_writing()
        assert await call.code() is StatusCode.INVALID_ARGUMENT
        assert await call.details() == "the call has no message"


CROWD = """
import grpc, sys
channel = grpc.insecure_channel(sys.argv[1])
call = channel.unary_unary(sys.argv[2])
calls = [call.future(bytes(int(sys.argv[3]))) for _ in range(int(sys.argv[4]))]
sys.stdin.read()
"""


async def test_messages_that_wait_are_at_their_clients(api: ASGIApp, system: SlowSystem) -> None:
    size_bytes, count = 2**22, 40
    settings = DoorSettings(max_upload_bytes=size_bytes)
    limits = replace(Limits.of(settings), places=1, places_per_client=1)
    come = Come()
    async with served(api, limits, come) as address, connected(address) as channel:
        holds = silent(channel)
        await come.calls.becomes(1)
        peak = Peak()
        command = [sys.executable, "-c", CROWD, address, INFER_PATH, str(size_bytes), str(count)]
        crowd = await asyncio.create_subprocess_exec(*command, stdin=asyncio.subprocess.PIPE)
        try:
            await come.calls.becomes(count + 1)
            # Another connection has had its turn often since then.
            for _ in range(50):
                await sent(channel, "ServerLive", b"")
            grown_bytes = peak.grown_bytes()
        finally:
            crowd.kill()
            await crowd.wait()
        holds.cancel()
    assert grown_bytes < count * size_bytes / 8
