"""How much is in work at once: jobs, bytes, and no queue that starves another."""

import tracemalloc

from redis.asyncio import Redis

from tests.redis_bridge.conftest import StartBridge
from tests.redis_bridge.fakes import FAST, QUEUE, Client, FakeCatalogue, FakeModel, eventually, model
from tests.redis_bridge.kept_metrics import Kept
from tests.redis_bridge.redis_state import nothing_in_flight


async def test_no_more_jobs_are_in_flight_than_slots(
    redis: Redis, client: Client, predict: FakeModel, start_bridge: StartBridge
) -> None:
    predict.gate.clear()
    ids = [await client.push() for _ in range(7)]
    async with start_bridge(FAST.model_copy(update={"slots_per_queue": 3})):
        await eventually(lambda: predict.waiting == 3)
        assert await redis.llen(QUEUE) == 4
        predict.gate.set()
        for job_id in ids:
            await client.answer(job_id)
    assert predict.most_waiting == 3


async def test_bytes_in_flight_are_bounded_and_a_job_above_the_bound_still_passes(
    redis: Redis, client: Client, predict: FakeModel, start_bridge: StartBridge
) -> None:
    predict.gate.clear()
    side_px = 700
    ids = [await client.push(side_px=side_px) for _ in range(3)]
    async with start_bridge(FAST.model_copy(update={"max_in_flight_bytes": 2**20})):
        await eventually(lambda: predict.waiting == 1)
        assert side_px * side_px * 3 > 2**20
        assert await redis.llen(QUEUE) == 2
        predict.gate.set()
        for job_id in ids:
            await client.answer(job_id)
    assert predict.most_waiting == 1


async def test_the_text_of_a_job_is_not_kept_while_its_picture_is_in_the_model(
    client: Client, predict: FakeModel, start_bridge: StartBridge
) -> None:
    predict.gate.clear()
    side_px = 1000
    text_bytes = side_px * side_px * 3 * 4 * 4 / 3
    kept = Kept()
    async with start_bridge(recorder=kept):
        job_id = await client.push(side_px=side_px)
        tracemalloc.start()
        try:
            await eventually(lambda: predict.waiting == 1)
            await eventually(lambda: tracemalloc.get_traced_memory()[0] < text_bytes / 2)
        finally:
            tracemalloc.stop()
        await eventually(lambda: ("fathom_redis_in_flight_bytes", side_px * side_px * 3.0) in kept.values)
        predict.gate.set()
        await client.answer(job_id)


async def test_a_busy_queue_does_not_starve_another(
    redis: Redis, client: Client, catalogue: FakeCatalogue, predict: FakeModel, start_bridge: StartBridge
) -> None:
    catalogue.shown = (model("a", QUEUE), model("b", "image_queue_quiet"))
    predict.gate.clear()
    for _ in range(50):
        await client.push()
    quiet = Client(redis, "image_queue_quiet")
    async with start_bridge(FAST.model_copy(update={"slots_per_queue": 2})):
        await eventually(lambda: predict.waiting == 2)
        await quiet.push()
        await eventually(lambda: predict.waiting == 3)
        predict.gate.set()
        await eventually(lambda: predict.asked == 51, within_s=10)
        await eventually(lambda: nothing_in_flight(redis))
