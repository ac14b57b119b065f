"""Requests go alone while few calls are under way, and share calls beyond that."""

import asyncio
from dataclasses import replace

from deployments.client.call_batching import CALLS_PER_REPLICA, MAX_REQUESTS_A_CALL, MAX_SENT_PER_REPLICA, CallBatcher
from deployments.definition import Tiling
from deployments.errors import Overloaded
from deployments.prediction import Opaque, Outcome
from deployments.request import Options, Request
from tests.deployments.client.batched_calls import Calls, request, settle


async def test_few_requests_go_alone_and_at_once() -> None:
    calls = Calls()
    batcher = CallBatcher(calls.send, lambda: 1)
    tasks = [asyncio.create_task(batcher.submit(request(number))) for number in range(CALLS_PER_REPLICA)]
    await settle()
    assert calls.sent == [[str(number).encode()] for number in range(CALLS_PER_REPLICA)]
    calls.may_return.set()
    assert await asyncio.gather(*tasks) == [Opaque(str(n).encode(), "m") for n in range(CALLS_PER_REPLICA)]


async def test_a_tiled_request_travels_alone_and_keeps_its_turn() -> None:
    calls = Calls()
    batcher = CallBatcher(calls.send, lambda: 1)
    first, last = CALLS_PER_REPLICA, 3 * CALLS_PER_REPLICA
    requests = [request(number) for number in range(last)]
    requests[-3] = replace(requests[-3], options=Options(tiling=Tiling()))
    tasks = [asyncio.create_task(batcher.submit(one)) for one in requests[:first]]
    await settle()
    tasks += [asyncio.create_task(batcher.submit(one)) for one in requests[first:]]
    await settle()
    calls.may_return.set()
    outcomes = await asyncio.gather(*tasks)
    assert outcomes == [Opaque(str(n).encode(), "m") for n in range(last)]
    assert [str(last - 3).encode()] in calls.sent
    assert any(len(sent) > 1 for sent in calls.sent)
    assert [number for sent in calls.sent for number in sent] == [str(n).encode() for n in range(last)]


async def test_more_requests_share_calls_and_keep_their_own_outcomes() -> None:
    calls = Calls()
    batcher = CallBatcher(calls.send, lambda: 1)
    count = 3 * CALLS_PER_REPLICA
    tasks = [asyncio.create_task(batcher.submit(request(number))) for number in range(CALLS_PER_REPLICA)]
    await settle()
    tasks += [asyncio.create_task(batcher.submit(request(number))) for number in range(CALLS_PER_REPLICA, count)]
    await settle()
    assert len(calls.sent) == CALLS_PER_REPLICA
    calls.may_return.set()
    outcomes = await asyncio.gather(*tasks)
    assert outcomes == [Opaque(str(number).encode(), "m") for number in range(count)]
    later = [len(call) for call in calls.sent[CALLS_PER_REPLICA:]]
    assert later[0] == 4
    assert later == sorted(later, reverse=True)


async def test_no_more_is_sent_than_a_replica_has_room_for() -> None:
    under_way: list[tuple[int, asyncio.Event]] = []
    most = 0

    async def send(requests: list[Request]) -> list[Outcome]:
        nonlocal most
        call = len(requests), asyncio.Event()
        under_way.append(call)
        most = max(most, sum(size for size, _ in under_way))
        await call[1].wait()
        under_way.remove(call)
        return [Opaque(b"", "m")] * len(requests)

    batcher = CallBatcher(send, lambda: 1)
    tasks: list[asyncio.Task[Outcome]] = []
    for _ in range(100):
        tasks += [asyncio.create_task(batcher.submit(request(number))) for number in range(40)]
        await settle()
        under_way[0][1].set()
        await settle()
    while under_way:
        under_way[0][1].set()
        await settle()
    outcomes = await asyncio.gather(*tasks)
    assert most == MAX_SENT_PER_REPLICA
    assert {type(outcome) for outcome in outcomes} == {Opaque, Overloaded}


async def test_images_of_some_milliseconds_share_some_calls() -> None:
    calls = Calls()
    batcher = CallBatcher(calls.send, lambda: 1)
    calls.takes_s = 0.005
    calls.may_return.set()
    for number in range(100):
        await batcher.submit(request(number))
    calls.may_return.clear()
    calls.sent.clear()
    tasks = [asyncio.create_task(batcher.submit(request(number))) for number in range(11)]
    await settle()
    assert [len(call) for call in calls.sent] == [2, 2, 2, 2, 1, 1]
    calls.may_return.set()
    await asyncio.gather(*tasks)


async def test_short_calls_are_few_and_carry_more() -> None:
    calls = Calls()
    calls.may_return.set()
    batcher = CallBatcher(calls.send, lambda: 1)
    for number in range(100):
        await batcher.submit(request(number))
    calls.may_return.clear()
    calls.sent.clear()
    tasks = [asyncio.create_task(batcher.submit(request(number))) for number in range(10)]
    await settle()
    assert [len(call) for call in calls.sent] == [5, 5]
    calls.may_return.set()
    await asyncio.gather(*tasks)


async def test_calls_that_only_wait_for_each_other_are_short() -> None:
    # Each takes 2 ms of a replica that does one after the other, so that 32 at once take 64 ms.
    turn = asyncio.Lock()
    largest = 0

    async def send(requests: list[Request]) -> list[Outcome]:
        nonlocal largest
        largest = max(largest, len(requests))
        async with turn:
            await asyncio.sleep(0.002)
        return [Opaque(b"", "m")] * len(requests)

    batcher = CallBatcher(send, lambda: 1)

    async def ask_again_and_again() -> None:
        for number in range(12):
            await batcher.submit(request(number))

    await asyncio.gather(*(ask_again_and_again() for _ in range(32)))
    assert largest >= 8


async def test_replicas_raise_the_number_of_calls_and_a_call_has_a_limit() -> None:
    calls = Calls()
    batcher = CallBatcher(calls.send, lambda: 2)
    tasks = [asyncio.create_task(batcher.submit(request(number))) for number in range(100)]
    await settle()
    sizes = [len(call) for call in calls.sent]
    assert len(sizes) == 2 * CALLS_PER_REPLICA
    assert max(sizes) <= MAX_REQUESTS_A_CALL
    calls.may_return.set()
    await asyncio.gather(*tasks)


async def test_a_request_is_sent_on_as_it_came_but_for_the_time_that_is_left() -> None:
    sent: list[Request] = []

    async def send(requests: list[Request]) -> list[Outcome]:
        sent.extend(requests)
        return [Opaque(b"", "m") for _ in requests]

    full = replace(request(1), options=Options(score_threshold=0.5, classes=("a",)), waiting_behind=7)
    await CallBatcher(send, lambda: 1).submit(full)
    [arrived] = sent
    assert arrived.deadline_s <= full.deadline_s
    assert replace(arrived, deadline_s=full.deadline_s) == full
