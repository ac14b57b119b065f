"""Queues whose jobs name their models: jobs of a model that cannot answer are in nobody's way, and none is lost."""

import asyncio
import json
import time
from collections.abc import Sequence

import pytest
from redis.asyncio import Redis

from deployments.catalogue import ModelRecord, ModelState
from deployments.errors import InternalError
from deployments.prediction import Outcome
from deployments.request import Request
from redis_bridge import keys
from redis_bridge.client.connection import connect
from redis_bridge.server.valkey_process import ValkeyProcess
from redis_bridge.settings import BridgeSettings
from tests.redis_bridge.conftest import StartBridge
from tests.redis_bridge.fakes import FAST, QUEUE, Client, FakeCatalogue, FakeModel, eventually, legacy_answer, model
from tests.redis_bridge.kept_metrics import Kept
from tests.redis_bridge.redis_state import answers_again, has_slots

JOBS = 40
PROMISED_S = 2.0


def with_names(**changes: object) -> BridgeSettings:
    values = {"profiles": {QUEUE: {"model_field": "model"}}, "job_deadline_s": 20, "longest_pause_s": 0.5}
    return BridgeSettings.model_validate(FAST.model_dump() | values | changes)


class TwoModels(FakeModel):
    """The model "sick" answers as it is told to; all others answer at once."""

    def __init__(self) -> None:
        super().__init__()
        self.sick: Outcome | None = None
        self.recovered = asyncio.Event()
        self.reds: list[int] = []

    async def __call__(self, model: str, requests: Sequence[Request]) -> list[Outcome]:
        if model == "sick":
            if self.sick is None:
                await self.recovered.wait()
            if not self.recovered.is_set():
                return [InternalError("the model failed unexpectedly")] * len(requests)
            self.reds += [int(one.image.pixels[0, 0, 0]) for one in requests if one.image.pixels is not None]
        return await super().__call__(model, requests)


@pytest.fixture
async def predict() -> TwoModels:
    return TwoModels()


def models(state: ModelState = ModelState.READY) -> tuple[ModelRecord, ...]:
    return (model("well", QUEUE), model("sick", "other_queue", state=state))


async def push_sick(client: Client) -> list[str]:
    return [await client.push((number + 1, 2, 64), model="sick") for number in range(JOBS)]


async def answers_of(client: Client, ids: Sequence[str]) -> list[object]:
    return [await client.answer(job_id, within_s=15) for job_id in ids]


SICK_ANSWERS = [legacy_answer((number + 1, 2, 64)) for number in range(JOBS)]


@pytest.mark.parametrize("state", [ModelState.FAILED, ModelState.STARTING])
async def test_jobs_behind_those_of_a_model_that_cannot_answer_pass_them(
    state: ModelState, client: Client, catalogue: FakeCatalogue, predict: TwoModels, start_bridge: StartBridge
) -> None:
    catalogue.shown = models(state)
    predict.recovered.set()
    ids = await push_sick(client)
    measured = Kept()
    async with start_bridge(with_names(), recorder=measured):
        for number in range(5):
            good = await client.push((number + 1, 3, 64), model="well")
            assert await client.answer(good, within_s=PROMISED_S) == legacy_answer((number + 1, 3, 64))
        await eventually(lambda: ("fathom_redis_set_aside", JOBS) in measured.values)
        assert await client.redis.llen(QUEUE) == 0
        catalogue.shown = models()
        assert await answers_of(client, ids) == SICK_ANSWERS
    # Those that waited aside are asked in the order in which they came.
    assert predict.reds == sorted(predict.reds)


async def test_jobs_behind_those_of_a_model_that_hangs_pass_them(
    client: Client, catalogue: FakeCatalogue, predict: TwoModels, start_bridge: StartBridge
) -> None:
    catalogue.shown = models()
    ids = await push_sick(client)
    good = await client.push((1, 3, 64), model="well")
    async with start_bridge(with_names()):
        assert await client.answer(good, within_s=3 * PROMISED_S) == legacy_answer((1, 3, 64))
        good = await client.push((2, 3, 64), model="well")
        assert await client.answer(good, within_s=PROMISED_S) == legacy_answer((2, 3, 64))
        predict.recovered.set()
        assert await answers_of(client, ids) == SICK_ANSWERS


async def test_jobs_behind_those_of_a_model_that_fails_pass_them_and_those_are_kept(
    client: Client, catalogue: FakeCatalogue, predict: TwoModels, start_bridge: StartBridge
) -> None:
    catalogue.shown = models()
    predict.sick = InternalError("no")
    ids = await push_sick(client)
    measured = Kept()
    async with start_bridge(with_names(), recorder=measured):
        good = await client.push((1, 3, 64), model="well")
        assert await client.answer(good, within_s=PROMISED_S) == legacy_answer((1, 3, 64))
        await eventually(lambda: ("fathom_redis_paused", 1) in measured.values)
        predict.recovered.set()
        assert await answers_of(client, ids) == SICK_ANSWERS
    assert await client.redis.llen(keys.DEAD_LETTERS) == 0


async def test_a_queue_goes_on_for_the_models_that_its_jobs_name_while_its_own_is_away(
    client: Client, catalogue: FakeCatalogue, start_bridge: StartBridge
) -> None:
    catalogue.shown = (model("own", QUEUE, state=ModelState.FAILED), model("well", "other_queue"))
    nameless = await client.push((7, 3, 64))
    async with start_bridge(with_names()):
        good = await client.push((1, 3, 64), model="well")
        assert await client.answer(good) == legacy_answer((1, 3, 64))
        catalogue.shown = (model("own", QUEUE), model("well", "other_queue"))
        assert await client.answer(nameless) == legacy_answer((7, 3, 64))


async def test_jobs_that_are_set_aside_are_the_next_of_their_queue_in_their_order_when_the_bridge_stops(
    redis: Redis, client: Client, catalogue: FakeCatalogue, start_bridge: StartBridge
) -> None:
    catalogue.shown = models(ModelState.FAILED)
    ids = await push_sick(client)
    measured = Kept()
    async with start_bridge(with_names(), recorder=measured):
        await eventually(lambda: ("fathom_redis_set_aside", JOBS) in measured.values)
    assert [json.loads(job)["id"] for job in await redis.lrange(QUEUE, 0, -1)] == ids


async def test_jobs_that_were_set_aside_are_not_lost_with_their_bridge(
    redis: Redis, client: Client, catalogue: FakeCatalogue, predict: TwoModels, start_bridge: StartBridge
) -> None:
    catalogue.shown = models(ModelState.FAILED)
    predict.recovered.set()
    ids = await push_sick(client)
    measured = Kept()
    async with start_bridge(with_names(), recorder=measured) as bridge:
        await eventually(lambda: ("fathom_redis_set_aside", JOBS) in measured.values)
        # A sibling that finds the bridge dead takes them all; what it knows of them is of no more use.
        await bridge.stop(drain_s=0)
        for number, job in enumerate(await redis.lrange(QUEUE, 0, -1)):
            await redis.lmove(QUEUE, keys.Slot(QUEUE, "00000000dead", number).key, "LEFT", "RIGHT")
            assert job
        catalogue.shown = models()
        async with start_bridge(with_names()):
            assert await answers_of(client, ids) == SICK_ANSWERS


async def test_no_more_jobs_are_set_aside_than_the_limit_and_still_none_is_in_the_way(
    redis: Redis, client: Client, catalogue: FakeCatalogue, predict: TwoModels, start_bridge: StartBridge
) -> None:
    catalogue.shown = models(ModelState.FAILED)
    predict.recovered.set()
    ids = await push_sick(client)
    measured = Kept()
    async with start_bridge(with_names(max_set_aside=5), recorder=measured):
        good = await client.push((1, 3, 64), model="well")
        assert await client.answer(good) == legacy_answer((1, 3, 64))
        await eventually(lambda: ("fathom_redis_set_aside", 5) in measured.values)
        assert max(value for name, value in measured.values if name == "fathom_redis_set_aside") == 5
        catalogue.shown = models()
        assert await answers_of(client, ids) == SICK_ANSWERS


async def test_jobs_aside_whose_model_stays_away_are_answered_with_the_reason(
    client: Client, catalogue: FakeCatalogue, start_bridge: StartBridge
) -> None:
    catalogue.shown = models(ModelState.FAILED)
    async with start_bridge(with_names(give_up_after_s=0.5)):
        answer = await client.answer(await client.push(model="sick"))
    assert answer == {"error": {"code": "model-unavailable", "message": "model sick is failed: why"}}


async def test_jobs_aside_whose_model_is_removed_are_refused_in_words(
    client: Client, catalogue: FakeCatalogue, start_bridge: StartBridge
) -> None:
    catalogue.shown = models(ModelState.FAILED)
    measured = Kept()
    async with start_bridge(with_names(), recorder=measured):
        job_id = await client.push(model="sick")
        await eventually(lambda: ("fathom_redis_set_aside", 1) in measured.values)
        catalogue.shown = (model("well", QUEUE),)
        answer = await client.answer(job_id)
    assert isinstance(answer, dict)
    assert answer["error"]["code"] == "invalid-request"


async def test_the_bridge_stops_in_time_with_jobs_aside_while_redis_is_away(
    own_valkey: ValkeyProcess, catalogue: FakeCatalogue, predict: TwoModels, start_bridge: StartBridge
) -> None:
    own_valkey.start()
    redis = connect(own_valkey.address, longest_block_s=1)
    catalogue.shown = models(ModelState.FAILED)
    predict.recovered.set()
    ids = await push_sick(Client(redis))
    measured = Kept()
    async with start_bridge(with_names(), url=own_valkey.address, recorder=measured) as bridge:
        await eventually(lambda: ("fathom_redis_set_aside", JOBS) in measured.values)
        await asyncio.to_thread(own_valkey.stop)
        catalogue.shown = models()
        await asyncio.wait_for(bridge.stop(drain_s=0.1), 10)
    await asyncio.to_thread(own_valkey.start)
    await eventually(lambda: answers_again(redis))
    async with start_bridge(with_names(), url=own_valkey.address):
        assert await answers_of(Client(redis), ids) == SICK_ANSWERS
    await redis.aclose()


async def test_a_model_that_is_away_for_a_moment_is_not_given_up_for_an_earlier_moment(
    redis: Redis, client: Client, catalogue: FakeCatalogue, predict: TwoModels, start_bridge: StartBridge
) -> None:
    predict.recovered.set()
    catalogue.shown = models(ModelState.STARTING)
    async with start_bridge(with_names(give_up_after_s=1.5)):
        for colour in ((1, 2, 64), (2, 2, 64)):
            away_until_s = time.monotonic() + 0.6
            job_id = await client.push(colour, model="sick")
            await eventually(lambda: has_slots(redis, 1))
            await eventually(lambda until_s=away_until_s: time.monotonic() > until_s)
            catalogue.shown = models()
            assert await client.answer(job_id) == legacy_answer(colour)
            back_until_s = time.monotonic() + 1.2
            await eventually(lambda until_s=back_until_s: time.monotonic() > until_s)
            catalogue.shown = models(ModelState.STARTING)
