"""Every item gets its own end: a result, its own error, its deadline, or the end of the model."""

import asyncio
import time
from collections.abc import Sequence

import pytest

from deployments.errors import DeadlineExceeded, InternalError, ModelUnavailable, Overloaded
from deployments.serving.batching.batch_policy import AdaptiveBatchPolicy
from deployments.serving.batching.micro_batcher import BATCHES_AT_ONCE, MicroBatcher
from tests.deployments.serving.batching.gated_model import Gate, soon


async def test_an_expired_item_is_not_run() -> None:
    gate = Gate()
    batcher = MicroBatcher(gate.run, AdaptiveBatchPolicy(8), max_waiting=100)
    first = asyncio.create_task(batcher.submit(1, soon()))
    await gate.started.wait()
    late = asyncio.create_task(batcher.submit(2, time.monotonic()))
    await asyncio.sleep(0)
    gate.open.set()
    await first
    with pytest.raises(DeadlineExceeded):
        await late
    assert gate.batches == [[1]]
    await batcher.close()


async def test_a_cancelled_item_leaves_its_batch() -> None:
    gate = Gate()
    batcher = MicroBatcher(gate.run, AdaptiveBatchPolicy(8), max_waiting=100)
    first = asyncio.create_task(batcher.submit(1, soon()))
    await gate.started.wait()
    gone, stays = (asyncio.create_task(batcher.submit(item, soon())) for item in (2, 3))
    await asyncio.sleep(0)
    gone.cancel()
    gate.open.set()
    await first
    assert (await stays).result == 30
    assert gate.batches == [[1], [3]]
    await batcher.close()


async def test_too_many_waiting_are_refused_at_once() -> None:
    gate = Gate()
    batcher = MicroBatcher(gate.run, AdaptiveBatchPolicy(1), max_waiting=2)
    first = asyncio.create_task(batcher.submit(1, soon()))
    await gate.started.wait()
    waiting = [asyncio.create_task(batcher.submit(item, soon())) for item in (2, 3)]
    await asyncio.sleep(0)
    with pytest.raises(Overloaded, match="2"):
        await batcher.submit(4, soon())
    gate.open.set()
    await asyncio.gather(first, *waiting)
    await batcher.close()


async def test_items_whose_time_is_over_do_not_count_as_waiting_while_a_batch_does_not_end() -> None:
    gate = Gate()
    batcher = MicroBatcher(gate.run, AdaptiveBatchPolicy(1), max_waiting=2)
    running = [asyncio.create_task(batcher.submit(item, soon())) for item in range(BATCHES_AT_ONCE)]
    await gate.started.wait()
    late = [asyncio.create_task(batcher.submit(item, time.monotonic())) for item in (10, 11)]
    await asyncio.sleep(0)
    waiting = asyncio.create_task(batcher.submit(12, soon()))
    ends = await asyncio.gather(*late, return_exceptions=True)
    assert [type(end) for end in ends] == [DeadlineExceeded, DeadlineExceeded]
    gate.open.set()
    assert (await waiting).result == 120
    await asyncio.gather(*running)
    assert gate.batches == [[0], [1], [12]]
    await batcher.close()


async def test_an_error_of_ours_is_that_of_the_whole_batch_which_is_not_tried_again() -> None:
    runs: list[list[int]] = []
    ends: list[tuple[list[int], bool]] = []

    async def refuse(items: Sequence[int]) -> list[int]:
        runs.append(list(items))
        raise ModelUnavailable("the model is being replaced")

    batcher = MicroBatcher(refuse, AdaptiveBatchPolicy(8), max_waiting=100)
    batcher.on_batch_end = lambda items, has_result: ends.append((list(items), has_result))
    outcomes = await asyncio.gather(*(batcher.submit(item, soon()) for item in (1, 2)), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [ModelUnavailable, ModelUnavailable]
    assert runs == [[1, 2]]
    assert ends == []
    await batcher.close()


async def test_the_end_of_a_batch_tells_whether_any_of_its_items_has_a_result() -> None:
    gate = Gate()
    gate.open.set()
    ends: list[tuple[list[int], bool]] = []
    batcher = MicroBatcher(gate.run, AdaptiveBatchPolicy(8), max_waiting=100)
    batcher.on_batch_end = lambda items, has_result: ends.append((list(items), has_result))
    for items in ((1, 2), (-3, 4), (-5, -6), (-7,)):
        await asyncio.gather(*(batcher.submit(item, soon()) for item in items), return_exceptions=True)
    assert ends == [([1, 2], True), ([-3, 4], True), ([-5, -6], False), ([-7], False)]
    await batcher.close()


async def test_an_item_that_is_late_when_its_batch_has_failed_is_not_run_again() -> None:
    gate = Gate()
    batcher = MicroBatcher(gate.run, AdaptiveBatchPolicy(8), max_waiting=100)
    late_from_s = time.monotonic() + 0.05
    poison = asyncio.create_task(batcher.submit(-1, soon()))
    late = asyncio.create_task(batcher.submit(2, late_from_s))
    await gate.started.wait()
    asyncio.get_running_loop().call_later(late_from_s - time.monotonic() + 0.01, gate.open.set)
    outcomes = await asyncio.gather(poison, late, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [InternalError, DeadlineExceeded]
    assert gate.batches == [[-1, 2], [-1]]
    await batcher.close()


async def test_one_poisonous_item_fails_alone() -> None:
    gate = Gate()
    gate.open.set()
    batcher = MicroBatcher(gate.run, AdaptiveBatchPolicy(8), max_waiting=100)
    results = await asyncio.gather(*(batcher.submit(item, soon()) for item in (1, -2, 3)), return_exceptions=True)
    assert isinstance(results[1], InternalError)
    assert [results[0].result, results[2].result] == [10, 30]  # type: ignore[union-attr]
    batcher.check()
    await batcher.close()


async def test_closing_answers_those_that_wait() -> None:
    gate = Gate()
    batcher = MicroBatcher(gate.run, AdaptiveBatchPolicy(1), max_waiting=10)
    asyncio.create_task(batcher.submit(1, soon()))  # noqa: RUF006
    await gate.started.wait()
    waiting = asyncio.create_task(batcher.submit(2, soon()))
    await asyncio.sleep(0)
    await batcher.close()
    with pytest.raises(ModelUnavailable):
        await waiting
    with pytest.raises(ModelUnavailable):
        await batcher.submit(3, soon())


async def test_closing_answers_those_in_a_batch() -> None:
    gate = Gate()
    batcher = MicroBatcher(gate.run, AdaptiveBatchPolicy(1), max_waiting=10)
    tasks = [asyncio.create_task(batcher.submit(item, soon())) for item in range(3)]
    await gate.started.wait()
    await batcher.close()
    outcomes = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [ModelUnavailable] * 3
