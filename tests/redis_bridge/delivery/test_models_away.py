"""Jobs for a model that sleeps and cannot be woken, as its weights or its GPU are not there."""

from dataclasses import replace

from redis.asyncio import Redis

from deployments.catalogue import ModelRecord, ModelState
from tests.redis_bridge.conftest import StartBridge
from tests.redis_bridge.fakes import FAST, QUEUE, Client, FakeCatalogue, FakeModel, legacy_answer, model

REASON = "needs 0.25 GPU, and the machine with most has 0"


def unavailable() -> ModelRecord:
    return replace(model(state=ModelState.ASLEEP), reason=REASON)


async def test_a_job_waits_in_its_queue_until_the_hindrance_is_gone(
    redis: Redis, client: Client, catalogue: FakeCatalogue, predict: FakeModel, start_bridge: StartBridge
) -> None:
    catalogue.shown = (unavailable(), model("second", "image_queue_other"))
    other = Client(redis, "image_queue_other")
    async with start_bridge():
        job_id = await client.push((5, 6, 7))
        # Time enough to take it: a later job of another model comes and goes.
        await other.answer(await other.push())
        calls = predict.calls
        assert await redis.llen(QUEUE) == 1
        catalogue.shown = (model(state=ModelState.ASLEEP),)
        assert await client.answer(job_id) == legacy_answer((5, 6, 7))
        assert (calls, predict.calls) == (1, 2)


async def test_a_job_that_has_waited_long_enough_is_answered_with_the_reason(
    client: Client, catalogue: FakeCatalogue, predict: FakeModel, start_bridge: StartBridge
) -> None:
    catalogue.shown = (unavailable(),)
    async with start_bridge(FAST.model_copy(update={"give_up_after_s": 0.3})):
        answer = await client.answer(await client.push())
    assert answer == {"error": {"code": "model-unavailable", "message": f"model benthic-demo is asleep: {REASON}"}}
    assert predict.calls == 0
