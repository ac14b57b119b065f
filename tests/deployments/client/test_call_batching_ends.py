"""Each request that shares a call has an end of its own: late, cancelled, failed, or its replica dead."""

import asyncio

import pytest

from deployments.client.call_batching import CALLS_PER_REPLICA, MAX_WAITING_PER_REPLICA, CallBatcher
from deployments.client.outcomes import ReplicaDied
from deployments.errors import InternalError, ModelUnavailable, Overloaded
from deployments.prediction import Opaque
from tests.deployments.client.batched_calls import Calls, request, settle


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
