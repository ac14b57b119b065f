"""A shutdown finishes what is in work or gives it back, in time, and with Redis away too."""

import asyncio
import json

from redis.asyncio import Redis

from redis_bridge import keys
from redis_bridge.client.connection import connect
from redis_bridge.server.valkey_process import ValkeyProcess
from tests.redis_bridge.conftest import StartBridge
from tests.redis_bridge.fakes import FAST, QUEUE, Client, FakeModel, eventually, legacy_answer
from tests.redis_bridge.redis_state import answers_again, gone, slots


async def test_shutdown_finishes_what_is_in_flight_and_takes_nothing_new(
    redis: Redis, client: Client, predict: FakeModel, start_bridge: StartBridge
) -> None:
    predict.gate.clear()
    settings = FAST.model_copy(update={"slots_per_queue": 2})
    ids = [await client.push() for _ in range(3)]
    async with start_bridge(settings) as bridge:
        await eventually(lambda: predict.waiting == 2)
        stopping = asyncio.ensure_future(bridge.stop(drain_s=10))
        await eventually(lambda: gone(redis, FAST.registry_key))
        assert not stopping.done()
        predict.gate.set()
        await stopping
        assert [await redis.exists(job_id) for job_id in ids] == [1, 1, 0]
        assert await redis.llen(QUEUE) == 1
        assert await redis.scard(keys.BRIDGES) == 0
    assert await slots(redis) == []


async def test_shutdown_gives_back_what_does_not_finish_in_time_without_counting_it_as_a_try(
    redis: Redis, client: Client, predict: FakeModel, start_bridge: StartBridge
) -> None:
    predict.gate.clear()
    settings = FAST.model_copy(update={"slots_per_queue": 2, "max_attempts": 1})
    ids = [await client.push((number + 1, 2, 64)) for number in range(3)]
    async with start_bridge(settings, drain_s=0):
        await eventually(lambda: predict.waiting == 2)
    waiting = [json.loads(job)["id"] for job in await redis.lrange(QUEUE, 0, -1)]
    assert sorted(waiting[:2]) == sorted(ids[:2])
    assert waiting[2] == ids[2]
    assert predict.waiting == 0
    predict.gate.set()
    async with start_bridge(settings):
        for number, job_id in enumerate(ids):
            assert await client.answer(job_id) == legacy_answer((number + 1, 2, 64))


async def test_the_bridge_stops_in_time_while_redis_is_away(
    own_valkey: ValkeyProcess, start_bridge: StartBridge, predict: FakeModel
) -> None:
    own_valkey.start()
    redis = connect(own_valkey.address, longest_block_s=1)
    predict.gate.clear()
    async with start_bridge(url=own_valkey.address, drain_s=0.1) as bridge:
        job_id = await Client(redis).push((3, 2, 64))
        await eventually(lambda: predict.waiting == 1)
        await asyncio.to_thread(own_valkey.stop)
        await asyncio.wait_for(bridge.stop(drain_s=0.1), 10)
    predict.gate.set()
    await asyncio.to_thread(own_valkey.start)
    await eventually(lambda: answers_again(redis))
    async with start_bridge(url=own_valkey.address):
        assert await Client(redis).answer(job_id, within_s=10) == legacy_answer((3, 2, 64))
    await redis.aclose()
