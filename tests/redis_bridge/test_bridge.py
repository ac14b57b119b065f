"""The Redis door with a real Valkey: jobs are answered, and the consumers follow the models."""

import json
import tracemalloc

import pytest
from redis.asyncio import Redis

from deployments.catalogue import ModelState
from deployments.errors import (
    DeadlineExceeded,
    InternalError,
    InvalidImage,
    ModelUnavailable,
    Overloaded,
)
from redis_bridge import keys
from redis_bridge.server.valkey_process import ValkeyProcess
from tests.redis_bridge.conftest import StartBridge
from tests.redis_bridge.fakes import (
    FAST,
    MODEL,
    QUEUE,
    Client,
    FakeCatalogue,
    FakeModel,
    eventually,
    legacy_answer,
    model,
)
from tests.redis_bridge.kept_metrics import Kept


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


async def nothing_in_flight(redis: Redis) -> bool:
    return not [key async for key in redis.scan_iter(match=keys.SLOTS_PATTERN)]


async def test_jobs_that_waited_before_the_bridge_came_are_answered_each_with_its_own_picture(
    client: Client, start_bridge: StartBridge
) -> None:
    colours = [(10 + number, 20, 128) for number in range(40)]
    ids = [await client.push(colour) for colour in colours]
    async with start_bridge():
        answers = [await client.answer(job_id) for job_id in ids]
    assert answers == [legacy_answer(colour) for colour in colours]


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
        own_valkey.start()
        await eventually(lambda: bridge.waiting_for(MODEL) == 0, within_s=15)
