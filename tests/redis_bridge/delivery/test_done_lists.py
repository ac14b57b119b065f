"""Clients that wait on a list instead of polling: told when their answer is there, whatever the answer is."""

import json

import pytest
from redis.asyncio import Redis

from deployments.errors import InternalError, InvalidRequest
from redis_bridge.store.job_store import JobStore
from redis_bridge.wire.job_format import Malformed, WireLimits, parse_job
from tests.redis_bridge.conftest import StartBridge
from tests.redis_bridge.fakes import FAST, QUEUE, Client, FakeModel, eventually, legacy_answer

LIST = "done:client-7"


async def next_done(redis: Redis, within_s: float = 5.0) -> str:
    popped = await redis.blpop([LIST], timeout=within_s)
    assert popped is not None, f"nothing was announced within {within_s:g} s"
    done: str = popped[1].decode()
    return done


async def test_a_client_waits_without_polling(redis: Redis, client: Client, start_bridge: StartBridge) -> None:
    async with start_bridge():
        job_id = await client.push((1, 2, 64), done_list=LIST)
        assert await next_done(redis) == job_id
        assert json.loads(await redis.get(job_id)) == legacy_answer((1, 2, 64))


async def test_one_list_serves_many_jobs(redis: Redis, client: Client, start_bridge: StartBridge) -> None:
    pushed = {await client.push((1, 2, number), done_list=LIST) for number in range(20)}
    async with start_bridge():
        assert {await next_done(redis) for _ in pushed} == pushed


async def test_errors_are_announced_too(
    redis: Redis, client: Client, predict: FakeModel, start_bridge: StartBridge
) -> None:
    predict.errors = [InvalidRequest("no")]
    async with start_bridge():
        refused = await client.push(done_list=LIST)
        assert await next_done(redis) == refused
        assert json.loads(await redis.get(refused))["error"]["code"] == "invalid-request"
        unreadable = await client.push(done_list=LIST, height="x")
        assert await next_done(redis) == unreadable
        assert "error" in json.loads(await redis.get(unreadable))


async def test_a_job_that_is_tried_again_is_announced_once(
    redis: Redis, client: Client, predict: FakeModel, start_bridge: StartBridge
) -> None:
    predict.errors = [InternalError("once")]
    async with start_bridge():
        job_id = await client.push(done_list=LIST)
        assert await next_done(redis) == job_id
    assert await redis.llen(LIST) == 0


async def test_a_list_that_nobody_reads_expires(redis: Redis, client: Client, start_bridge: StartBridge) -> None:
    async with start_bridge():
        await client.push(done_list=LIST)
        await eventually(lambda: redis.llen(LIST))
    assert 0 < await redis.ttl(LIST) <= FAST.result_ttl_s


async def test_what_is_no_list_is_left_alone_and_the_answer_is_there(
    redis: Redis, client: Client, start_bridge: StartBridge
) -> None:
    await redis.set(LIST, "text of somebody", ex=50)
    async with start_bridge():
        assert await client.answer(await client.push((1, 2, 64), done_list=LIST)) == legacy_answer((1, 2, 64))
        # The next job's settlement comes after the announcement of this one.
        await client.answer(await client.push((1, 2, 64)))
    assert await redis.get(LIST) == b"text of somebody"
    assert await redis.ttl(LIST) <= 50


async def test_the_expiry_of_a_list_follows_the_last_answer_unless_somebody_keeps_it(redis: Redis) -> None:
    jobs = JobStore(redis, "a" * 12, FAST)
    await redis.rpush("image_queue_kept", "by somebody")
    await jobs.announce(QUEUE, [(LIST, "one"), ("image_queue_kept", "one")])
    await redis.expire(LIST, 5)
    await jobs.announce(QUEUE, [(LIST, "two")])
    assert await redis.ttl(LIST) > 5
    assert await redis.ttl("image_queue_kept") == -1
    assert await redis.lrange(LIST, 0, -1) == [b"one", b"two"]


async def test_nothing_is_sent_for_clients_that_poll(redis: Redis, client: Client, start_bridge: StartBridge) -> None:
    async with start_bridge() as bridge:
        # The check of what the server allows is over.
        await eventually(lambda: bridge.queues)
        await redis.config_resetstat()
        await client.answer(await client.push((1, 2, 64)))
    # The client's own push is the only one.
    assert (await redis.info("commandstats"))["cmdstat_rpush"]["calls"] == 1


@pytest.mark.parametrize("wrong", [7, "", "x" * 300, "fathomnet:bridges", QUEUE, "new\nline", "the id"])
def test_a_list_that_may_not_be_written_to_is_refused(wrong: object) -> None:
    job = {"id": "the id", "image": "", "height": 1, "width": 1, "done_list": wrong}
    parsed = parse_job(json.dumps(job).encode(), WireLimits(1000), {QUEUE})
    assert isinstance(parsed, Malformed)
    assert "done_list must" in parsed.error.message
    assert (parsed.job_id, parsed.done_list) == ("the id", None)
