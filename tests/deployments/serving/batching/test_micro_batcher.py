"""When a batch starts: as the model becomes free, the moment it is full, or as the wait for more ends."""

import asyncio
import contextlib
import time

from deployments.errors import DeadlineExceeded
from deployments.serving.batching.batch_policy import AdaptiveBatchPolicy
from deployments.serving.batching.micro_batcher import MicroBatcher
from tests.deployments.serving.batching.gated_model import Gate, soon


async def test_what_waits_while_the_model_is_busy_becomes_one_batch() -> None:
    gate = Gate()
    batcher = MicroBatcher(gate.run, AdaptiveBatchPolicy(8), max_waiting=100)
    first = asyncio.create_task(batcher.submit(1, soon()))
    await gate.started.wait()
    others = [asyncio.create_task(batcher.submit(item, soon())) for item in (2, 3, 4)]
    await asyncio.sleep(0)
    gate.open.set()
    answers = [(await task).result for task in (first, *others)]
    assert gate.batches == [[1], [2, 3, 4]]
    assert answers == [10, 20, 30, 40]
    await batcher.close()


async def test_the_limit_is_live() -> None:
    gate = Gate()
    policy = AdaptiveBatchPolicy(8)
    batcher = MicroBatcher(gate.run, policy, max_waiting=100)
    tasks = [asyncio.create_task(batcher.submit(item, soon())) for item in range(5)]
    await gate.started.wait()
    policy.largest = 2
    more = [asyncio.create_task(batcher.submit(item, soon())) for item in range(5, 9)]
    await asyncio.sleep(0)
    gate.open.set()
    await asyncio.gather(*tasks, *more)
    assert [len(batch) for batch in gate.batches] == [5, 2, 2]
    await batcher.close()


class Patient(AdaptiveBatchPolicy):
    """A policy that always waits for a full batch, for so long."""

    def __init__(self, largest: int, max_wait_s: float) -> None:
        super().__init__(largest, target_s=60.0)
        self._always_s = max_wait_s

    @property
    def max_wait_s(self) -> float:
        return self._always_s


async def test_a_patient_batch_starts_the_moment_it_is_full() -> None:
    gate = Gate()
    gate.open.set()
    batcher = MicroBatcher(gate.run, Patient(3, max_wait_s=30.0), max_waiting=100)
    tasks = [asyncio.create_task(batcher.submit(item, soon())) for item in (1, 2)]
    await asyncio.sleep(0)
    assert not gate.started.is_set()
    tasks.append(asyncio.create_task(batcher.submit(3, soon())))
    async with asyncio.timeout(10):
        await asyncio.gather(*tasks)
    assert gate.batches == [[1, 2, 3]]
    await batcher.close()


async def test_patience_ends_and_a_deadline_ends_it_sooner() -> None:
    gate = Gate()
    gate.open.set()
    for max_wait_s, expires_in_s in ((0.05, 30.0), (30.0, 0.05)):
        batcher = MicroBatcher(gate.run, Patient(3, max_wait_s), max_waiting=100)
        entered_at_s = time.monotonic()
        async with asyncio.timeout(10):
            with contextlib.suppress(DeadlineExceeded):
                await batcher.submit(1, entered_at_s + expires_in_s)
        assert time.monotonic() - entered_at_s >= 0.05
        await batcher.close()


async def test_an_item_that_leaves_during_the_wait_is_not_run() -> None:
    gate = Gate()
    gate.open.set()
    batcher = MicroBatcher(gate.run, Patient(3, max_wait_s=0.1), max_waiting=100)
    gone, stays = (asyncio.create_task(batcher.submit(item, soon())) for item in (1, 2))
    await asyncio.sleep(0)
    gone.cancel()
    async with asyncio.timeout(10):
        assert (await stays).result == 20
    assert gate.batches == [[2]]
    await batcher.close()


async def test_the_pace_learns_from_the_batches_that_ran() -> None:
    gate = Gate()
    gate.open.set()
    policy = AdaptiveBatchPolicy(8)
    batcher = MicroBatcher(gate.run, policy, max_waiting=100)
    assert policy.run_s(1) == 0
    await batcher.submit(1, soon())
    assert policy.run_s(1) > 0
    await batcher.close()


async def test_a_full_batch_starts_beside_another_one_and_no_third() -> None:
    gate = Gate()
    batcher = MicroBatcher(gate.run, AdaptiveBatchPolicy(2), max_waiting=100)
    tasks = [asyncio.create_task(batcher.submit(item, soon())) for item in range(8)]
    await gate.started.wait()
    for _ in range(5):
        await asyncio.sleep(0)
    assert gate.batches == [[0, 1], [2, 3]]
    gate.open.set()
    await asyncio.gather(*tasks)
    assert gate.batches == [[0, 1], [2, 3], [4, 5], [6, 7]]
    await batcher.close()


async def test_a_batch_does_not_wait_while_that_keeps_others_waiting() -> None:
    gate = Gate()
    gate.open.set()
    may_wait = True
    batcher = MicroBatcher(gate.run, Patient(3, max_wait_s=30.0), max_waiting=100, may_wait=lambda: may_wait)
    task = asyncio.create_task(batcher.submit(1, soon()))
    for _ in range(5):
        await asyncio.sleep(0)
    assert not gate.started.is_set()
    may_wait = False
    batcher.look_again()
    async with asyncio.timeout(10):
        await task
    await batcher.close()


async def test_any_batch_starts_beside_another_where_they_do_not_slow_each_other() -> None:
    for is_side_by_side, batches in ((False, [[1]]), (True, [[1], [2]])):
        gate = Gate()
        batcher = MicroBatcher(gate.run, AdaptiveBatchPolicy(8), max_waiting=100, is_side_by_side=is_side_by_side)
        tasks = []
        for item in (1, 2, 3):
            tasks.append(asyncio.create_task(batcher.submit(item, soon())))
            for _ in range(5):
                await asyncio.sleep(0)
        assert gate.batches == batches
        gate.open.set()
        await asyncio.gather(*tasks)
        await batcher.close()
