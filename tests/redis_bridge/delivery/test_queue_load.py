"""A model hears how many jobs wait for it."""

from redis.asyncio import Redis

from redis_bridge.server.valkey_process import ValkeyProcess
from tests.redis_bridge.conftest import StartBridge
from tests.redis_bridge.fakes import FAST, MODEL, QUEUE, Client, FakeCatalogue, FakeModel, eventually, model
from tests.redis_bridge.kept_metrics import Kept


async def test_a_model_hears_how_many_jobs_wait_for_it(
    redis: Redis, client: Client, predict: FakeModel, catalogue: FakeCatalogue, start_bridge: StartBridge
) -> None:
    catalogue.shown = (model(MODEL, QUEUE, "other_queue"),)
    kept = Kept()
    predict.gate.clear()
    async with start_bridge(settings=FAST.model_copy(update={"slots_per_queue": 2}), recorder=kept):
        pushed = [await client.push() for _ in range(8)]
        other = Client(redis, "other_queue")
        pushed += [await other.push() for _ in range(8)]
        # Two of each queue are in work, and a heartbeat has seen six left in both.
        await eventually(lambda: kept.values.count(("fathom_redis_queue_depth", 6)) >= 4)
        predict.gate.set()
        for job_id in pushed:
            await client.answer(job_id)
    told = [request.waiting_behind for request in predict.requests]
    assert 12 in told
    assert told[-1] is not None
    assert told[-1] <= 12


async def test_of_a_queue_that_cannot_be_looked_at_nothing_is_told(
    own_valkey: ValkeyProcess, predict: FakeModel, start_bridge: StartBridge
) -> None:
    own_valkey.start()
    kept = Kept()
    async with start_bridge(url=own_valkey.address, recorder=kept) as bridge:
        await eventually(lambda: bridge.waiting_for(MODEL) == 0)
        own_valkey.stop()
        await eventually(lambda: bridge.waiting_for(MODEL) is None, within_s=15)
        assert bridge.waiting is None
        own_valkey.start()
        await eventually(lambda: bridge.waiting_for(MODEL) == 0, within_s=15)
