"""What Redis shows of the bridges and of the jobs in work."""

import contextlib

from redis.asyncio import Redis

from redis_bridge import keys
from redis_bridge.client.connection import REDIS_ERRORS


async def slots(redis: Redis) -> list[str]:
    return [key.decode() async for key in redis.scan_iter(match=keys.SLOTS_PATTERN)]


async def has_slots(redis: Redis, count: int) -> bool:
    return len(await slots(redis)) == count


async def nothing_in_flight(redis: Redis) -> bool:
    return not [key async for key in redis.scan_iter(match=keys.SLOTS_PATTERN)]


async def gone(redis: Redis, key: str) -> bool:
    return not await redis.exists(key)


async def answers_again(redis: Redis) -> bool:
    with contextlib.suppress(*REDIS_ERRORS):
        return bool(await redis.ping())
    return False
