"""No job is lost when Redis is killed under load, comes back without its last second, or comes late."""

import asyncio
import json

import psutil

from redis_bridge import keys
from redis_bridge.client.connection import connect
from redis_bridge.server.valkey_process import ValkeyProcess
from tests.redis_bridge.conftest import StartBridge
from tests.redis_bridge.fakes import FAST, QUEUE, Client, FakeModel, eventually, legacy_answer
from tests.redis_bridge.redis_state import answers_again, has_slots


async def test_redis_killed_and_started_again_under_load_costs_no_job(
    own_valkey: ValkeyProcess, start_bridge: StartBridge, predict: FakeModel
) -> None:
    own_valkey.start()
    redis = connect(own_valkey.address, longest_block_s=1)
    client = Client(redis)
    predict.gate.clear()
    settings = FAST.model_copy(update={"slots_per_queue": 5})
    async with start_bridge(settings, url=own_valkey.address) as bridge:
        ids = [await client.push((number + 1, 2, 64)) for number in range(30)]
        await eventually(lambda: predict.waiting == 5)
        pid = own_valkey.living_pid()
        assert pid
        psutil.Process(pid).kill()
        await eventually(lambda: own_valkey.living_pid() is None)
        # Answers come out of the model while Redis is away.
        predict.gate.set()
        await eventually(lambda: predict.waiting == 0)
        assert await asyncio.to_thread(own_valkey.start)
        await eventually(lambda: answers_again(redis))
        for number, job_id in enumerate(ids):
            assert await client.answer(job_id, within_s=20) == legacy_answer((number + 1, 2, 64))
        await eventually(lambda: has_slots(redis, 0))
        bridge.check()
    await redis.aclose()


async def test_a_job_that_reappears_because_redis_came_back_without_its_last_second_is_done_again(
    own_valkey: ValkeyProcess, start_bridge: StartBridge
) -> None:
    own_valkey.start()
    redis = connect(own_valkey.address, longest_block_s=1)
    client = Client(redis)
    async with start_bridge(url=own_valkey.address) as bridge:
        await client.answer(await client.push())
        job_id = await client.push((3, 2, 64), id="reappeared")
        await client.answer(job_id)
        # One pixel of uint8 RGB: 1, 2, 64.
        job = {"id": job_id, "image": "AQJA", "height": 1, "width": 1}
        lost_slot = keys.Slot(QUEUE, bridge.bridge_id, 0)
        await redis.rpush(lost_slot.key, json.dumps(job))
        await asyncio.to_thread(own_valkey.stop)
        assert await asyncio.to_thread(own_valkey.start)
        await eventually(lambda: answers_again(redis))
        assert await client.answer(job_id, within_s=10) == legacy_answer((1, 2, 64))
    await redis.aclose()


async def test_the_bridge_may_start_before_redis_does(own_valkey: ValkeyProcess, start_bridge: StartBridge) -> None:
    async with start_bridge(url=own_valkey.address) as bridge:
        bridge.check()
        await asyncio.to_thread(own_valkey.start)
        redis = connect(own_valkey.address, longest_block_s=1)
        client = Client(redis)
        assert await client.answer(await client.push((3, 2, 64)), within_s=10) == legacy_answer((3, 2, 64))
        await redis.aclose()
