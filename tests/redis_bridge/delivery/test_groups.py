"""Jobs that are taken together: one call, one ack, and one job's error is not another's."""

import json
import time

from redis.asyncio import Redis

from deployments.errors import InternalError, InvalidImage, ModelUnavailable, Overloaded
from redis_bridge import keys
from redis_bridge.delivery.model_calls import QUICK_CALL_S
from redis_bridge.delivery.reservation import GROUP_BYTES
from redis_bridge.store.retry_records import fingerprint
from tests.redis_bridge.conftest import StartBridge
from tests.redis_bridge.fakes import FAST, QUEUE, Client, FakeModel, eventually, legacy_answer
from tests.redis_bridge.kept_metrics import Kept


async def test_jobs_that_wait_go_to_the_model_in_few_calls(
    client: Client, predict: FakeModel, start_bridge: StartBridge
) -> None:
    ids = [await client.push((number + 1, 2, 64)) for number in range(32)]
    kept = Kept()
    async with start_bridge(recorder=kept):
        for number, job_id in enumerate(ids):
            assert await client.answer(job_id) == legacy_answer((number + 1, 2, 64))
        await eventually(lambda: sum(value for name, value in kept.values if name == "fathom_redis_jobs_total") == 32)
    assert predict.asked == 32
    assert predict.calls == 2
    observed = [name for name, _ in kept.values]
    assert observed.count("fathom_redis_decode_seconds") == 2
    assert observed.count("fathom_redis_settle_seconds") == 2


async def test_each_job_of_a_group_ends_in_its_own_way(
    redis: Redis, client: Client, predict: FakeModel, start_bridge: StartBridge
) -> None:
    predict.errors = [InvalidImage("broken"), InternalError("failed"), ModelUnavailable("away"), Overloaded("full")]
    ids = [await client.push((number + 1, 2, 64)) for number in range(6)]
    ids.append(await client.push(image="?"))
    await redis.rpush("image_queue_taken_key", "of somebody else")
    await client.push(id="image_queue_taken_key")
    async with start_bridge():
        for number, job_id in enumerate(ids[1:6], start=1):
            assert await client.answer(job_id, within_s=10) == legacy_answer((number + 1, 2, 64))
        for job_id in (ids[0], ids[6]):
            answer = await client.answer(job_id)
            assert isinstance(answer, dict)
            assert answer["error"]["code"] in ("invalid-image", "invalid-request")
        await eventually(lambda: has_letters(redis, 3))
    letters = [json.loads(raw) for raw in await redis.lrange(keys.DEAD_LETTERS, 0, -1)]
    assert {letter["id"] for letter in letters} == {ids[0], ids[6], "image_queue_taken_key"}
    assert await redis.lrange("image_queue_taken_key", 0, -1) == [b"of somebody else"]
    assert not await redis.exists(keys.attempts(QUEUE))


async def has_letters(redis: Redis, count: int) -> bool:
    return await redis.llen(keys.DEAD_LETTERS) == count


async def test_a_group_is_bounded_in_bytes(
    redis: Redis, client: Client, predict: FakeModel, start_bridge: StartBridge
) -> None:
    # 200 KB each: a group ends with the job that reaches 2 MiB.
    side_px = 112
    for _ in range(16):
        await client.push(side_px=side_px)
    [text] = await redis.lrange(QUEUE, 0, 0)
    predict.gate.clear()
    async with start_bridge():
        await eventually(lambda: predict.waiting == 16)
        predict.gate.set()
        await eventually(lambda: has_no_slots(redis))
    assert predict.calls == 2
    assert len(predict.requests) == 16
    assert -(-GROUP_BYTES // len(text)) < 16


async def has_no_slots(redis: Redis) -> bool:
    return not [key async for key in redis.scan_iter(match=keys.SLOTS_PATTERN)]


async def test_an_answer_to_a_job_that_somebody_else_has_taken_over_is_counted_as_a_double(
    redis: Redis, client: Client, predict: FakeModel, start_bridge: StartBridge
) -> None:
    predict.gate.clear()
    kept = Kept()
    async with start_bridge(recorder=kept):
        job_id = await client.push((1, 2, 64))
        await eventually(lambda: predict.waiting == 1)
        [slot] = [key async for key in redis.scan_iter(match=keys.SLOTS_PATTERN)]
        await redis.delete(slot)
        predict.gate.set()
        assert await client.answer(job_id) == legacy_answer((1, 2, 64))
        await eventually(lambda: ("fathom_redis_doubles_total", 1) in kept.values)


async def test_a_failed_try_is_remembered_while_the_next_is_under_way_and_forgotten_with_the_answer(
    redis: Redis, client: Client, predict: FakeModel, start_bridge: StartBridge
) -> None:
    job_id = await client.push((1, 2, 64))
    name = fingerprint(await redis.lindex(QUEUE, 0))
    predict.errors = [InternalError("failed")]
    async with start_bridge(FAST.model_copy(update={"max_attempts": 3})):
        await eventually(lambda: predict.calls == 1)
        await eventually(lambda: is_remembered(redis, name))
        assert await client.answer(job_id) == legacy_answer((1, 2, 64))
        await eventually(lambda: has_no_records(redis))


async def is_remembered(redis: Redis, name: str) -> bool:
    return (await redis.hget(keys.attempts(QUEUE), name) or b"").startswith(b"1 ")


async def has_no_records(redis: Redis) -> bool:
    return not await redis.exists(keys.attempts(QUEUE))


async def test_jobs_for_a_slow_model_do_not_wait_for_each_other(
    redis: Redis, client: Client, predict: FakeModel, start_bridge: StartBridge
) -> None:
    predict.gate.clear()
    async with start_bridge():
        first = await client.push((1, 2, 64))
        await eventually(lambda: predict.waiting == 1)
        asked_s = time.monotonic()
        await eventually(lambda: time.monotonic() - asked_s > QUICK_CALL_S)
        predict.gate.set()
        await client.answer(first)
        predict.gate.clear()
        ids = [await client.push((number + 1, 2, 64)) for number in range(8)]
        await eventually(lambda: predict.waiting == 8)
        assert predict.calls == 9
        predict.gate.set()
        for number, job_id in enumerate(ids):
            assert await client.answer(job_id) == legacy_answer((number + 1, 2, 64))
