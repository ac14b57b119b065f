"""Requests go alone while few calls are under way, and share calls beyond that; each gets its own outcome."""

import asyncio
from dataclasses import replace

import pytest

from deployments.client.call_batching import (
    CALLS_PER_REPLICA,
    MAX_REQUESTS_A_CALL,
    MAX_SENT_PER_REPLICA,
    MAX_WAITING_PER_REPLICA,
    CallBatcher,
)
from deployments.client.outcomes import ReplicaDied
from deployments.definition import Tiling
from deployments.errors import InternalError, ModelUnavailable, Overloaded
from deployments.prediction import Opaque, Outcome
from deployments.request import Image, Options, Request


def request(number: int, deadline_s: float = 30) -> Request:
    return Request(Image.from_encoded(str(number).encode()), deadline_s=deadline_s)


class Calls:
    """Keeps every call until it is let through; answers each image with its own number."""

    def __init__(self) -> None:
        self.sent: list[list[bytes]] = []
        self.deadlines_s: list[float] = []
        self.cancelled = 0
        self.may_return = asyncio.Event()
        self.error: Exception | None = None
        self.takes_s = 0.0

    async def send(self, requests: list[Request]) -> list[Outcome]:
        numbers = [bytes(one.image.encoded) for one in requests if one.image.encoded is not None]
        self.sent.append(numbers)
        self.deadlines_s += [one.deadline_s for one in requests]
        try:
            await self.may_return.wait()
            await asyncio.sleep(self.takes_s)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if self.error is not None:
            raise self.error
        return [Opaque(number, "m") for number in numbers]


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


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


async def test_more_than_can_wait_are_refused_at_once() -> None:
    calls = Calls()
    batcher = CallBatcher(calls.send, lambda: 1)
    under_way = [asyncio.create_task(batcher.submit(request(number))) for number in range(CALLS_PER_REPLICA)]
    await settle()
    waiting = [asyncio.create_task(batcher.submit(request(number))) for number in range(MAX_WAITING_PER_REPLICA)]
    await settle()
    assert isinstance(await batcher.submit(request(999)), Overloaded)
    calls.may_return.set()
    outcomes = await asyncio.gather(*under_way, *waiting)
    assert {type(outcome) for outcome in outcomes} == {Opaque}
    assert await batcher.submit(request(999)) == Opaque(b"999", "m")


async def test_the_time_spent_waiting_is_taken_off_the_deadline() -> None:
    calls = Calls()
    batcher = CallBatcher(calls.send, lambda: 1)
    tasks = [asyncio.create_task(batcher.submit(request(number))) for number in range(5)]
    await settle()
    calls.may_return.set()
    await asyncio.gather(*tasks)
    assert all(0 < deadline_s <= 30 for deadline_s in calls.deadlines_s)


async def test_a_late_answer_is_a_time_out_and_its_call_is_cancelled() -> None:
    calls = Calls()
    batcher = CallBatcher(calls.send, lambda: 1)
    with pytest.raises(TimeoutError):
        await batcher.submit(request(1, deadline_s=0.02))
    await settle()
    assert calls.cancelled == 1


async def test_a_dropped_request_is_not_sent_and_others_are_not_hurt() -> None:
    calls = Calls()
    batcher = CallBatcher(calls.send, lambda: 1)
    tasks = [asyncio.create_task(batcher.submit(request(number))) for number in range(CALLS_PER_REPLICA + 3)]
    await settle()
    first_calls = list(calls.sent)
    late = asyncio.create_task(batcher.submit(request(99)))
    await settle()
    late.cancel()
    tasks[0].cancel()
    await settle()
    calls.may_return.set()
    outcomes = await asyncio.gather(*tasks[1:])
    assert outcomes == [Opaque(str(number).encode(), "m") for number in range(1, CALLS_PER_REPLICA + 3)]
    assert [b"99"] not in calls.sent
    assert calls.cancelled == sum(call == [b"0"] for call in first_calls)


@pytest.mark.parametrize(
    ("raised", "kind"), [(ModelUnavailable("gone"), ModelUnavailable), (ValueError("bug"), InternalError)]
)
async def test_a_call_that_fails_answers_all_its_requests(raised: Exception, kind: type[Exception]) -> None:
    calls = Calls()
    calls.error = raised
    calls.may_return.set()
    batcher = CallBatcher(calls.send, lambda: 1)
    outcomes = await asyncio.gather(*(batcher.submit(request(number)) for number in range(9)))
    assert [type(outcome) for outcome in outcomes] == [kind] * 9


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


@pytest.mark.parametrize("way", ["cancelled", "expired"])
async def test_requests_whose_clients_have_gone_make_room_at_once_and_are_not_sent(way: str) -> None:
    calls = Calls()
    batcher = CallBatcher(calls.send, lambda: 1)
    under_way = [asyncio.create_task(batcher.submit(request(number))) for number in range(CALLS_PER_REPLICA)]
    await settle()
    deadline_s = 0.02 if way == "expired" else 30
    impatient = [
        asyncio.create_task(batcher.submit(request(100 + number, deadline_s)))
        for number in range(MAX_WAITING_PER_REPLICA)
    ]
    await settle()
    assert isinstance(await batcher.submit(request(999)), Overloaded)
    if way == "cancelled":
        for task in impatient:
            task.cancel()
    gone = await asyncio.gather(*impatient, return_exceptions=True)
    assert {type(error) for error in gone} <= {TimeoutError, asyncio.CancelledError}
    patient = [
        asyncio.create_task(batcher.submit(request(200 + number))) for number in range(MAX_WAITING_PER_REPLICA)
    ]
    await settle()
    assert not any(task.done() for task in [*under_way, *patient])
    calls.may_return.set()
    expected = [Opaque(str(200 + number).encode(), "m") for number in range(MAX_WAITING_PER_REPLICA)]
    assert await asyncio.gather(*patient) == expected
    await asyncio.gather(*under_way)
    assert not {number for sent in calls.sent for number in sent} & {str(n).encode() for n in range(100, 200)}


async def test_when_a_replica_dies_each_request_of_the_call_hears_of_it() -> None:
    calls = Calls()
    calls.error = ReplicaDied("m")
    batcher = CallBatcher(calls.send, lambda: 1)
    tasks = [asyncio.create_task(batcher.submit(request(number))) for number in range(3)]
    await settle()
    tasks[0].cancel()
    calls.may_return.set()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [asyncio.CancelledError, ReplicaDied, ReplicaDied]
