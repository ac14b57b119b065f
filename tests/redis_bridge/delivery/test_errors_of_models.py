"""A model that refuses, fails, hangs or is away: what its client is told, and how often it is tried."""

import json

from redis.asyncio import Redis

from deployments.catalogue import ModelState
from deployments.errors import DeadlineExceeded, InternalError, InvalidImage, ModelUnavailable, Overloaded
from redis_bridge import keys
from tests.redis_bridge.conftest import StartBridge
from tests.redis_bridge.fakes import FAST, QUEUE, Client, FakeCatalogue, FakeModel, eventually, legacy_answer, model


async def test_a_job_that_the_model_refuses_is_answered_with_its_error_and_kept_as_a_dead_letter(
    redis: Redis, client: Client, predict: FakeModel, start_bridge: StartBridge
) -> None:
    predict.errors = [InvalidImage("the image is damaged")]
    async with start_bridge():
        job_id = await client.push()
        answer = await client.answer(job_id)
    assert answer == {"error": {"code": "invalid-image", "message": "the image is damaged"}}
    [raw] = await redis.lrange(keys.DEAD_LETTERS, 0, -1)
    letter = json.loads(raw)
    assert (letter["id"], letter["queue"], letter["code"]) == (job_id, QUEUE, "invalid-image")


async def test_a_failing_model_is_tried_again_a_bounded_number_of_times(
    redis: Redis, client: Client, predict: FakeModel, start_bridge: StartBridge
) -> None:
    async with start_bridge():
        predict.errors = [InternalError("the model failed unexpectedly"), DeadlineExceeded("too slow")]
        job_id = await client.push((1, 2, 3))
        assert await client.answer(job_id) == legacy_answer((1, 2, 3))
        assert predict.calls == 3
        predict.errors = [InternalError("the model failed unexpectedly")] * 9
        job_id = await client.push()
        answer = await client.answer(job_id)
        assert answer == {"error": {"code": "internal", "message": "the model failed unexpectedly"}}
        assert predict.calls == 3 + FAST.max_attempts
    assert await redis.llen(keys.DEAD_LETTERS) == 1


async def test_a_model_call_that_raises_is_an_internal_error_without_details(
    client: Client, predict: FakeModel, start_bridge: StartBridge
) -> None:
    predict.errors = [ZeroDivisionError("secret detail")] * FAST.max_attempts
    async with start_bridge():
        answer = await client.answer(await client.push())
    assert answer == {"error": {"code": "internal", "message": "the model failed unexpectedly"}}


async def test_a_model_that_never_answers_is_given_up_in_time(
    client: Client, predict: FakeModel, start_bridge: StartBridge
) -> None:
    predict.gate.clear()
    # The door's own grace comes on top of the deadline, so one try is enough for the test.
    settings = FAST.model_copy(update={"job_deadline_s": 0.1, "max_attempts": 1})
    async with start_bridge(settings):
        answer = await client.answer(await client.push())
    assert isinstance(answer, dict)
    assert answer["error"]["code"] == "deadline-exceeded"


async def test_an_unavailable_or_overloaded_model_costs_a_job_nothing_but_time(
    redis: Redis, client: Client, predict: FakeModel, start_bridge: StartBridge
) -> None:
    predict.errors = [ModelUnavailable("being replaced")] * 2 + [Overloaded("later")] * 7
    async with start_bridge(FAST.model_copy(update={"max_attempts": 1})):
        job_id = await client.push((9, 8, 7))
        assert await client.answer(job_id, within_s=15) == legacy_answer((9, 8, 7))
    assert await redis.llen(keys.DEAD_LETTERS) == 0


async def test_jobs_stay_in_redis_while_the_model_cannot_answer(
    redis: Redis, client: Client, catalogue: FakeCatalogue, predict: FakeModel, start_bridge: StartBridge
) -> None:
    catalogue.shown = (model(state=ModelState.STARTING),)
    job_id = await client.push((5, 6, 7))
    async with start_bridge():
        await eventually(lambda: redis.hexists(FAST.registry_key, QUEUE))
        assert await redis.llen(QUEUE) == 1
        catalogue.shown = (model(),)
        assert await client.answer(job_id) == legacy_answer((5, 6, 7))
        assert predict.calls == 1


async def test_a_model_asleep_is_woken_by_a_job(
    client: Client, catalogue: FakeCatalogue, start_bridge: StartBridge
) -> None:
    catalogue.shown = (model(state=ModelState.ASLEEP),)
    async with start_bridge():
        assert await client.answer(await client.push((5, 6, 7))) == legacy_answer((5, 6, 7))


async def test_those_who_wait_for_a_model_that_stays_away_are_told_so(
    client: Client, catalogue: FakeCatalogue, predict: FakeModel, start_bridge: StartBridge
) -> None:
    catalogue.shown = (model(state=ModelState.FAILED),)
    async with start_bridge(FAST.model_copy(update={"give_up_after_s": 0.3})):
        answer = await client.answer(await client.push())
    assert answer == {"error": {"code": "model-unavailable", "message": "model benthic-demo is failed: why"}}
    assert predict.calls == 0


async def test_those_who_wait_for_a_model_that_was_removed_are_told_so_and_then_the_queue_is_left_alone(
    redis: Redis, client: Client, catalogue: FakeCatalogue, start_bridge: StartBridge
) -> None:
    async with start_bridge(FAST.model_copy(update={"give_up_after_s": 0.3})) as bridge:
        await client.answer(await client.push())
        catalogue.shown = ()
        answer = await client.answer(await client.push())
        assert isinstance(answer, dict)
        assert answer["error"]["code"] == "model-not-found"
        await eventually(lambda: not bridge.queues)
        await client.push()
        assert await redis.llen(QUEUE) == 1
