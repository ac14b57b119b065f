"""Old workers beside the bridge on one Redis: which loops may share a queue with it, and which may not."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from redis_bridge.client.connection import connect
from redis_bridge.server.valkey_process import ValkeyProcess
from tests.redis_bridge.conftest import StartBridge
from tests.redis_bridge.fakes import (
    FAST,
    MODEL,
    QUEUE,
    Client,
    FakeCatalogue,
    FakeModel,
    eventually,
    legacy_answer,
    model,
)
from tests.redis_bridge.legacy_workers import LEGACY_ANSWER, AtomicWorker, LegacyWorker, PoppingWorker, TrimmingWorker

JOBS = 120
JOBS_OF_A_ROUND = 20
COLOUR = (10, 20, 128)

EXCLUSIVE = FAST.model_copy(update={"external_queues": (QUEUE,)})


@contextlib.asynccontextmanager
async def at_work(worker_type: type[LegacyWorker], valkey: ValkeyProcess) -> AsyncIterator[LegacyWorker]:
    """A legacy worker with a connection of its own."""
    redis = connect(valkey.address, longest_block_s=1)
    worker = worker_type(redis, QUEUE)
    loop = asyncio.ensure_future(worker.run())
    try:
        yield worker
        assert not loop.done(), loop
    finally:
        # redis-py may swallow a cancellation that comes together with an answer.
        while not loop.done():
            loop.cancel()
            await asyncio.wait({loop}, timeout=1)
        await redis.aclose()


async def answered(client: Client, count: int) -> dict[str, object]:
    """Pushes `count` jobs at once; the answer to each."""
    ids = [await client.push(COLOUR) for _ in range(count)]
    return {job_id: await client.answer(job_id) for job_id in ids}


@pytest.mark.parametrize("worker_type", [PoppingWorker, AtomicWorker])
async def test_a_worker_that_removes_what_it_reads_shares_a_queue_with_the_bridge(
    worker_type: type[LegacyWorker],
    redis: Redis,
    client: Client,
    valkey: ValkeyProcess,
    predict: FakeModel,
    start_bridge: StartBridge,
) -> None:
    settings = FAST.model_copy(update={"slots_per_queue": 2})
    async with start_bridge(settings), at_work(worker_type, valkey) as worker:
        answers: dict[str, object] = {}
        # Either may be quick enough to take a whole round. Both have had their turn before the bulk of the jobs.
        async with asyncio.timeout(30):
            while not (worker.at_work.is_set() and predict.requests):
                answers |= await answered(client, JOBS_OF_A_ROUND)
        answers |= await answered(client, JOBS)
    by_the_bridge = [job_id for job_id, answer in answers.items() if answer == legacy_answer(COLOUR)]
    by_the_worker = [job_id for job_id, answer in answers.items() if answer == json.loads(LEGACY_ANSWER)]
    assert len(by_the_bridge) + len(by_the_worker) == len(answers)
    assert sorted(worker.answered) == sorted(by_the_worker), "a job was answered twice"
    assert len(predict.requests) == len(by_the_bridge), "a job was put to the model twice, or to both"
    assert by_the_bridge
    assert by_the_worker
    assert await redis.llen(QUEUE) == 0


async def test_a_worker_that_trims_afterwards_removes_jobs_that_it_has_not_read(redis: Redis) -> None:
    """Why such a loop cannot share a queue with anybody, shown step by step without the bridge."""
    texts = [json.dumps({"id": name}).encode() for name in "abcdef"]
    await redis.rpush(QUEUE, *texts)
    worker = TrimmingWorker(redis, QUEUE)
    batch = await worker.take_a_batch()
    assert batch == texts[:4]
    somebody_else_took = [await redis.lpop(QUEUE), await redis.lpop(QUEUE)]
    await worker.finish(batch)
    assert set(somebody_else_took) < set(batch), "answered by two"
    assert await redis.lrange(QUEUE, 0, -1) == [], "the last two are gone and answered by nobody"
    assert worker.answered == ["a", "b", "c", "d"]
    await redis.delete(*worker.answered)


async def test_a_queue_that_is_exclusive_by_configuration_is_left_to_its_worker(
    redis: Redis, client: Client, valkey: ValkeyProcess, predict: FakeModel, start_bridge: StartBridge
) -> None:
    async with start_bridge(EXCLUSIVE), at_work(TrimmingWorker, valkey) as worker:
        ids = [await client.push(COLOUR) for _ in range(JOBS)]
        answers = [await client.answer(job_id) for job_id in ids]
    assert answers == [json.loads(LEGACY_ANSWER)] * JOBS
    assert worker.answered == ids
    assert not predict.requests
    assert await redis.llen(QUEUE) == 0


async def test_an_exclusive_queue_is_neither_taken_from_nor_announced_as_ours(
    redis: Redis, client: Client, catalogue: FakeCatalogue, start_bridge: StartBridge
) -> None:
    catalogue.shown = (model(MODEL, QUEUE, "other_queue"),)
    await client.push(COLOUR)
    async with start_bridge(EXCLUSIVE) as bridge:
        await eventually(lambda: bridge.queues == {"other_queue"})
        await eventually(lambda: redis.hexists(FAST.registry_key, "other_queue"))
        assert not await redis.hexists(FAST.registry_key, QUEUE)
    assert await redis.llen(QUEUE) == 1
