"""Jobs through random kills of bridges and of Valkey, seeded and bounded in time: every id is accounted for."""

import asyncio
import contextlib
import random
import time

import psutil
from redis.asyncio import Redis

from redis_bridge import keys
from redis_bridge.connection import TROUBLES, connect
from redis_bridge.valkey_process import ValkeyProcess
from tests.redis_bridge.conftest import BridgeProcesses
from tests.redis_bridge.fakes import QUEUE, Client, eventually, legacy_answer

JOBS = 500
ROUNDS = 10
KILLS_OF_VALKEY = (3, 7)
SEED = 20261124


def colour(number: int) -> tuple[int, int, int]:
    """Another one for each job, so that no job can get the answer of another."""
    return (number % 250 + 1, number // 250 + 1, 64)


async def push_all(client: Client) -> None:
    """A patient client: pushes again when it does not know whether Redis took the job."""
    for number in range(JOBS):
        await eventually(lambda number=number: pushed(client, number), within_s=20)


async def pushed(client: Client, number: int) -> bool:
    with contextlib.suppress(*TROUBLES):
        await client.push(colour(number), id=f"chaos-{number}")
        return True
    return False


async def answered(redis: Redis) -> int:
    with contextlib.suppress(*TROUBLES):
        return int(await redis.exists(*(f"chaos-{number}" for number in range(JOBS))))
    return 0


async def has_answered(redis: Redis, count: int) -> bool:
    return await answered(redis) >= count


async def in_flight(redis: Redis) -> int:
    with contextlib.suppress(*TROUBLES):
        return len([key async for key in redis.scan_iter(match=keys.SLOTS_PATTERN)])
    return 0


async def kill_at_random(redis: Redis, valkey: ValkeyProcess, bridges: BridgeProcesses, alive: list[int]) -> int:
    """In each round, some answers after the last, a bridge dies and another is born; in some Valkey dies too.
    Answers how many jobs were in flight at those moments, over all rounds."""
    chance = random.Random(SEED)
    hit = threshold = 0
    for turn in range(ROUNDS):
        threshold += chance.randint(5, 2 * JOBS // (3 * ROUNDS))
        await eventually(lambda threshold=threshold: has_answered(redis, threshold), within_s=30)
        hit += await in_flight(redis)
        bridges.kill(alive.pop(chance.randrange(len(alive))))
        if turn in KILLS_OF_VALKEY:
            pid = valkey.living_pid()
            assert pid
            psutil.Process(pid).kill()
            assert await asyncio.to_thread(valkey.start)
        alive.append(bridges.start(valkey.address, QUEUE, "sound"))
    return hit


async def test_five_hundred_jobs_survive_random_kills(own_valkey: ValkeyProcess, bridges: BridgeProcesses) -> None:
    own_valkey.start()
    started_s = time.monotonic()
    redis = connect(own_valkey.address, longest_block_s=1)
    client = Client(redis)
    alive = [bridges.start(own_valkey.address, QUEUE, "sound") for _ in range(2)]
    _, hit = await asyncio.gather(push_all(client), kill_at_random(redis, own_valkey, bridges, alive))
    assert hit > ROUNDS
    await eventually(lambda: has_answered(redis, JOBS), within_s=40)
    for number in range(JOBS):
        assert await client.answer(f"chaos-{number}") == legacy_answer(colour(number))
    assert await redis.llen(keys.DEAD_LETTERS) == 0
    assert time.monotonic() - started_s < 60
    for pid in alive:
        bridges.kill(pid)
    await redis.aclose()
