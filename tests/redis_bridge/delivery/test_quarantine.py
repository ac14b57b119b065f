"""After the death of a bridge: jobs that kill bridges are found, whenever they do it, and nobody waits for that."""

import asyncio
import signal
import time
from collections.abc import Sequence

import psutil
import pytest
from redis.asyncio import Redis

from deployments.prediction import Outcome
from deployments.request import Request
from redis_bridge import keys
from redis_bridge.server.valkey_process import ValkeyProcess
from redis_bridge.store.job_store import JobStore
from redis_bridge.store.retry_records import record_from
from tests.redis_bridge.bridge_process import MAX_ATTEMPTS, POISON
from tests.redis_bridge.conftest import BridgeProcesses, StartBridge
from tests.redis_bridge.fakes import FAST, Client, FakeCatalogue, FakeModel, eventually, legacy_answer, model
from tests.redis_bridge.store.bare_liveness import liveness

DEAD = "00000000dead"
PROMISED_S = 2.0
SLOW_S = 3.0
SLOW_QUEUES = ("image_queue_slow", "image_queue_slower")


class UnevenModel(FakeModel):
    """Models called slow take SLOW_S for a call, all others no time."""

    async def __call__(self, model: str, requests: Sequence[Request]) -> list[Outcome]:
        if model.startswith("slow"):
            await asyncio.sleep(SLOW_S)
        return await super().__call__(model, requests)


@pytest.fixture
async def predict() -> UnevenModel:
    return UnevenModel()


async def leave_in_slots(redis: Redis, queue: str, count: int) -> list[str]:
    """Jobs that a bridge had in work when it died."""
    client = Client(redis, queue)
    ids = [await client.push((number + 1, 2, 64)) for number in range(count)]
    await JobStore(redis, DEAD, FAST).reserve(queue, most=count, most_bytes=10**6)
    return ids


@pytest.mark.alone
async def test_suspects_of_slow_models_hold_up_no_other_queue(
    redis: Redis, catalogue: FakeCatalogue, start_bridge: StartBridge
) -> None:
    catalogue.shown = (
        *(model(f"slow-{number}", queue) for number, queue in enumerate(SLOW_QUEUES)),
        model("quick", "image_queue"),
    )
    suspects = {queue: await leave_in_slots(redis, queue, 4) for queue in SLOW_QUEUES}
    quick = Client(redis, "image_queue")
    waits_s: list[float] = []
    async with start_bridge(FAST.model_copy(update={"job_deadline_s": 20})):
        await eventually(lambda: has_trial(redis))
        while not await redis.exists(*(ids[-1] for ids in suspects.values())):
            pushed_s = time.monotonic()
            job_id = await quick.push((3, 2, 64))
            assert await quick.answer(job_id, within_s=10 * PROMISED_S) == legacy_answer((3, 2, 64))
            waits_s.append(time.monotonic() - pushed_s)
        for queue, ids in suspects.items():
            for number, job_id in enumerate(ids):
                answer = await Client(redis, queue).answer(job_id, within_s=30)
                assert answer == legacy_answer((number + 1, 2, 64))
    assert len(waits_s) > 3
    assert max(waits_s) < PROMISED_S


async def has_trial(redis: Redis) -> bool:
    return bool([key async for key in redis.scan_iter(match=keys.trial("*"))])


@pytest.mark.parametrize("point", ["poison", pytest.param("late-poison", marks=pytest.mark.slow)])
async def test_jobs_in_two_queues_that_kill_their_bridges_are_both_buried_and_those_beside_them_answered(
    redis: Redis, valkey: ValkeyProcess, bridges: BridgeProcesses, point: str
) -> None:
    clients = [Client(redis, queue) for queue in ("image_queue_a", "image_queue_b")]
    poisons = [await client.push(POISON) for client in clients]
    good = [(client, await client.push((number, 2, 64)), number) for client in clients for number in range(1, 4)]
    deaths = 0
    while await redis.exists(*poisons) < len(poisons):
        pid = bridges.start(valkey.address, "image_queue_a,image_queue_b", point)
        await eventually(lambda pid=pid: is_dead_or_done(redis, pid, poisons), within_s=20)
        if await redis.exists(*poisons) < len(poisons):
            assert await asyncio.to_thread(bridges.ending, pid) == -signal.SIGKILL
            deaths += 1
    # The first death and one with both on trial say nothing; all others find one of the two.
    assert deaths <= 2 + len(poisons) * MAX_ATTEMPTS
    for client, job_id, number in good:
        assert await client.answer(job_id, within_s=20) == legacy_answer((number, 2, 64))
    assert await redis.llen(keys.DEAD_LETTERS) == len(poisons)
    bridges.kill(pid)


async def is_dead_or_done(redis: Redis, pid: int, ids: list[str]) -> bool:
    is_dead = psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    return is_dead or await redis.exists(*ids) == len(ids)


async def test_where_several_were_on_trial_none_has_had_a_try_and_each_is_next_tried_apart(redis: Redis) -> None:
    dead = JobStore(redis, DEAD, FAST)
    await redis.rpush("image_queue", "one", "two", "three", "beside them")
    *on_trial, _ = await dead.reserve("image_queue", most=4, most_bytes=10**6)
    for each in on_trial:
        await dead.begin_trial(each.lease.slot)
    await dead.end_trial(on_trial[2].lease.slot)
    ours = liveness(redis)
    await ours.beat()
    await ours.sweep_if_due()
    texts = await redis.hgetall(keys.attempts("image_queue"))
    records = sorted((record.attempts, record.is_apart) for text in texts.values() if (record := record_from(text)))
    assert records == [(0, False), (0, False), (0, True), (0, True)]
    assert not await redis.exists(keys.trial(DEAD))
    await redis.delete("image_queue")
