"""A job that nobody waits for any more is taken back, and an answer that comes too late is swept."""

import asyncio
import json
import time

import pytest
from redis.asyncio import Redis

from deployments.errors import DeadlineExceeded, ModelUnavailable
from deployments.prediction import Opaque
from redis_bridge import keys
from redis_bridge.external.gateway import ExternalGateway
from redis_bridge.external.store import ExternalJobStore
from redis_bridge.server.valkey_process import ValkeyProcess
from tests.redis_bridge.external.gateways import (
    CORAL,
    SETTINGS,
    gateway_at,
    keys_left,
    length_is,
    nothing_left,
    request,
)
from tests.redis_bridge.fakes import eventually
from tests.redis_bridge.legacy_workers import detections, worker


async def test_a_job_that_nobody_takes_is_taken_back_at_its_deadline(gateway: ExternalGateway, redis: Redis) -> None:
    await redis.rpush(CORAL, "of somebody else")
    answer = await gateway.ask(CORAL, request(deadline_s=0.2))
    assert isinstance(answer, DeadlineExceeded)
    assert "image_queue_coral did not answer within 0.2 s" in answer.message
    await eventually(lambda: only_foreign_left(redis))


async def only_foreign_left(redis: Redis) -> bool:
    return await keys_left(redis) == {CORAL} and await redis.lrange(CORAL, 0, -1) == [b"of somebody else"]


async def test_an_asker_who_goes_takes_the_job_along(gateway: ExternalGateway, redis: Redis) -> None:
    asked = asyncio.create_task(gateway.ask(CORAL, request()))
    await eventually(lambda: length_is(redis, CORAL, 1))
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    await eventually(lambda: nothing_left(redis))


async def test_an_answer_that_comes_too_late_is_swept(gateway: ExternalGateway, redis: Redis) -> None:
    asked = asyncio.create_task(gateway.ask(CORAL, request(deadline_s=0.3)))
    await eventually(lambda: length_is(redis, CORAL, 1))
    job = json.loads(await redis.lpop(CORAL))
    assert isinstance(await asked, DeadlineExceeded)
    await eventually(lambda: is_given_up(redis, job["id"]))
    await redis.set(job["id"], "[]")
    assert await ExternalJobStore(redis, SETTINGS).sweep() == 1
    assert await keys_left(redis) == {keys.EXTERNAL_ASKED}
    assert await redis.ttl(keys.EXTERNAL_ASKED) > SETTINGS.result_ttl_s


async def is_given_up(redis: Redis, job_id: str) -> bool:
    given_up_at = await redis.zscore(keys.EXTERNAL_ASKED, job_id)
    return given_up_at is not None and given_up_at <= time.time()


async def test_what_another_bridge_waits_for_is_not_swept(gateway: ExternalGateway, redis: Redis) -> None:
    asked = asyncio.create_task(gateway.ask(CORAL, request()))
    await eventually(lambda: length_is(redis, CORAL, 1))
    assert await ExternalJobStore(redis, SETTINGS).sweep() == 0
    async with worker(redis, CORAL, detections):
        assert isinstance(await asked, Opaque)


async def test_answers_of_long_ago_are_forgotten(redis: Redis) -> None:
    await redis.zadd(keys.EXTERNAL_ASKED, {"old": time.time() - SETTINGS.result_ttl_s - 1, "new": time.time() - 1})
    await redis.expire(keys.EXTERNAL_ASKED, 100)
    await ExternalJobStore(redis, SETTINGS).sweep()
    assert await redis.zrange(keys.EXTERNAL_ASKED, 0, -1) == [b"new"]


async def test_a_stop_ends_the_waiting_and_takes_the_job_back(valkey: ValkeyProcess, redis: Redis) -> None:
    async with gateway_at(valkey.address) as gateway:
        asked = asyncio.create_task(gateway.ask(CORAL, request(deadline_s=60)))
        await eventually(lambda: length_is(redis, CORAL, 1))
    assert isinstance(await asked, ModelUnavailable)
    assert await nothing_left(redis)
