"""The Redis door with a real Valkey: jobs are answered, and the consumers follow the models."""

import pytest
from redis.asyncio import Redis

from deployments.errors import InvalidImage
from tests.redis_bridge.conftest import StartBridge
from tests.redis_bridge.fakes import FAST, QUEUE, Client, FakeCatalogue, FakeModel, eventually, legacy_answer, model
from tests.redis_bridge.kept_metrics import Kept
from tests.redis_bridge.redis_state import nothing_in_flight


async def test_a_job_is_answered_and_leaves_nothing_but_an_answer_that_expires(
    redis: Redis, client: Client, start_bridge: StartBridge
) -> None:
    async with start_bridge():
        job_id = await client.push((200, 100, 64))
        await eventually(lambda: redis.exists(job_id))
        assert 0 < await redis.ttl(job_id) <= FAST.result_ttl_s
        assert await client.answer(job_id) == legacy_answer((200, 100, 64))
        await eventually(lambda: nothing_in_flight(redis))
    assert await redis.llen(QUEUE) == 0


async def test_jobs_that_waited_before_the_bridge_came_are_answered_each_with_its_own_picture(
    client: Client, start_bridge: StartBridge
) -> None:
    colours = [(10 + number, 20, 128) for number in range(40)]
    ids = [await client.push(colour) for colour in colours]
    async with start_bridge():
        answers = [await client.answer(job_id) for job_id in ids]
    assert answers == [legacy_answer(colour) for colour in colours]


async def test_consumers_follow_the_models(
    redis: Redis, client: Client, catalogue: FakeCatalogue, start_bridge: StartBridge
) -> None:
    other = Client(redis, "image_queue_other")
    job_id = await other.push((1, 2, 3))
    async with start_bridge():
        await client.answer(await client.push())
        assert await redis.llen("image_queue_other") == 1
        catalogue.shown = (model(), model("second", "image_queue_other"))
        assert await other.answer(job_id) == legacy_answer((1, 2, 3))
        catalogue.shown = (model(),)
        await eventually(lambda: lacks(redis, "image_queue_other"))
        await other.push()
        assert await client.answer(await client.push((3, 2, 1))) == legacy_answer((3, 2, 1))
        assert await redis.llen("image_queue_other") == 1


async def lacks(redis: Redis, queue: str) -> bool:
    return not await redis.hexists(FAST.registry_key, queue)


async def test_a_queue_key_that_is_no_list_disturbs_nobody_else(
    redis: Redis, client: Client, catalogue: FakeCatalogue, start_bridge: StartBridge
) -> None:
    await redis.set("image_queue_broken", "text")
    catalogue.shown = (model(), model("second", "image_queue_broken"))
    async with start_bridge() as bridge:
        assert await client.answer(await client.push((3, 2, 1))) == legacy_answer((3, 2, 1))
        bridge.check()
        await redis.delete("image_queue_broken")
        broken = Client(redis, "image_queue_broken")
        assert await broken.answer(await broken.push((3, 2, 1))) == legacy_answer((3, 2, 1))


async def test_what_happens_is_measured(client: Client, predict: FakeModel, start_bridge: StartBridge) -> None:
    predict.errors = [InvalidImage("broken")]
    kept = Kept()
    async with start_bridge(recorder=kept):
        await client.answer(await client.push())
        await client.answer(await client.push())
        await eventually(lambda: ("fathom_redis_jobs_total", (QUEUE, "ok")) in kept.seen)
        await eventually(lambda: ("fathom_redis_queue_depth", (QUEUE,)) in kept.seen)
    assert ("fathom_redis_jobs_total", (QUEUE, "invalid-image")) in kept.seen
    assert ("fathom_redis_dead_letters_total", (QUEUE, "invalid-image")) in kept.seen
    assert ("fathom_redis_decode_seconds", (QUEUE,)) in kept.seen


async def test_the_deadline_of_the_settings_reaches_the_model(
    client: Client, predict: FakeModel, start_bridge: StartBridge
) -> None:
    async with start_bridge():
        await client.answer(await client.push())
    [request] = predict.requests
    assert request.deadline_s == FAST.job_deadline_s


async def test_a_dead_loop_fails_the_health_check(start_bridge: StartBridge, catalogue: FakeCatalogue) -> None:
    async def break_the_catalogue() -> None:
        async with start_bridge() as bridge:
            await eventually(lambda: bridge.queues)
            bridge.check()
            catalogue.shown = (object(),)  # type: ignore[assignment]
            await eventually(lambda: is_unhealthy(bridge.check))

    with pytest.raises(RuntimeError, match="is dead"):
        await break_the_catalogue()


def is_unhealthy(check: object) -> bool:
    assert callable(check)
    try:
        check()
    except RuntimeError:
        return True
    return False
