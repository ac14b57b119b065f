"""Answers are looked for in one command for all, more rarely with time, and never while nobody waits."""

import asyncio
import time

from redis.asyncio import Redis

from deployments.errors import DeadlineExceeded
from deployments.prediction import Opaque
from redis_bridge.external.gateway import ExternalGateway
from tests.redis_bridge.external.gateways import CORAL, length_is, nothing_left, request
from tests.redis_bridge.fakes import eventually
from tests.redis_bridge.legacy_workers import detections, worker


async def test_many_wait_in_one_command(gateway: ExternalGateway, redis: Redis) -> None:
    await redis.config_resetstat()
    asked = [asyncio.create_task(gateway.ask(CORAL, request())) for _ in range(40)]
    await eventually(lambda: length_is(redis, CORAL, 40))
    first = await looks(redis)
    await eventually(lambda: looked_more_often(redis, first + 4))
    commands = await redis.info("commandstats")
    assert "cmdstat_get" not in commands
    assert "cmdstat_exists" not in commands
    async with worker(redis, CORAL, detections):
        answers = await asyncio.gather(*asked)
    assert all(isinstance(answer, Opaque) for answer in answers)


async def looks(redis: Redis) -> int:
    commands = await redis.info("commandstats")
    return int(commands.get("cmdstat_mget", {"calls": 0})["calls"])


async def looked_more_often(redis: Redis, times: int) -> bool:
    return await looks(redis) > times


async def test_while_nobody_waits_nobody_looks(gateway: ExternalGateway, redis: Redis) -> None:
    async with worker(redis, CORAL, detections):
        await gateway.ask(CORAL, request())
    before = await looks(redis)
    await eventually(lambda: nothing_left(redis))
    assert await looks(redis) <= before + 1


async def test_the_looks_become_rare_but_never_stop(gateway: ExternalGateway, redis: Redis) -> None:
    await redis.config_resetstat()
    started_s = time.monotonic()
    answer = await gateway.ask(CORAL, request(deadline_s=1.0))
    took_s = time.monotonic() - started_s
    assert isinstance(answer, DeadlineExceeded)
    assert 1.0 <= took_s < 2.0
    # Every 5 ms would be 200; the old web server's 0.25 s would be 4, for each asker.
    assert 8 <= await looks(redis) <= 40
