"""Models that fail or hang on every job: their jobs are kept, and a job that is at fault itself is still buried."""

import asyncio
import contextlib
import json
import logging
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence

import numpy as np
import pytest
from redis.asyncio import Redis

from deployments.errors import DeadlineExceeded, InternalError, InvalidImage, ModelCrashed, ServingError
from deployments.prediction import Outcome
from deployments.request import Request
from redis_bridge import keys
from redis_bridge.bridge import Bridge
from redis_bridge.client.connection import Connections, connect
from redis_bridge.delivery.circuit_breaker import SHORTEST_PAUSE_S, CircuitBreaker
from redis_bridge.server.valkey_process import ValkeyProcess
from tests.redis_bridge.conftest import StartBridge
from tests.redis_bridge.fakes import (
    FAST,
    QUEUE,
    Client,
    FakeCatalogue,
    FakeModel,
    eventually,
    legacy_answer,
    prediction_for,
)
from tests.redis_bridge.kept_metrics import Kept

SOON = FAST.model_copy(update={"pause_after": 3, "longest_pause_s": 0.1})
POISON_RED = 66
JOBS = 200


class MoodyModel(FakeModel):
    """Fails every job while it `is_broken`, and the red ones always."""

    def __init__(self) -> None:
        super().__init__()
        self.is_broken = True
        self.takes_s = 0.0
        self.tries: Counter[int] = Counter()

    async def __call__(self, model: str, requests: Sequence[Request]) -> list[Outcome]:
        await asyncio.sleep(self.takes_s)
        return await super().__call__(model, requests)

    def _outcome(self, request: Request) -> Outcome:
        pixels = request.image.pixels
        red = 0 if pixels is None else int(pixels[0, 0, 0])
        self.tries[red] += 1
        if self.is_broken or red == POISON_RED:
            return InternalError("the model failed unexpectedly")
        return super()._outcome(request)


@pytest.fixture
async def predict() -> MoodyModel:
    return MoodyModel()


async def kept(redis: Redis) -> int:
    slots = [key async for key in redis.scan_iter(match=keys.SLOTS_PATTERN)]
    return await redis.llen(QUEUE) + len(slots)


async def test_a_model_that_fails_every_job_is_paused_and_its_jobs_are_kept_until_it_answers(
    redis: Redis,
    client: Client,
    predict: MoodyModel,
    start_bridge: StartBridge,
    caplog: pytest.LogCaptureFixture,
) -> None:
    ids = [await client.push((number % 50 + 1, number // 50 + 1, 64)) for number in range(JOBS)]
    measured = Kept()
    async with start_bridge(SOON, recorder=measured):
        await eventually(lambda: ("fathom_redis_paused", 1) in measured.values)
        first_wave = predict.asked
        await eventually(lambda: predict.asked > first_wave + 5)
        # Those after the first wave are single jobs that look whether the model answers again.
        assert predict.calls >= predict.asked - first_wave
        assert predict.asked < JOBS / 2
        assert await redis.llen(keys.DEAD_LETTERS) == 0
        assert await redis.exists(*ids) == 0
        await eventually(lambda: all_kept(redis))
        predict.is_broken = False
        for number, job_id in enumerate(ids):
            assert await client.answer(job_id, within_s=10) == legacy_answer((number % 50 + 1, number // 50 + 1, 64))
        assert ("fathom_redis_paused", 0) in measured.values
    assert await redis.llen(keys.DEAD_LETTERS) == 0
    told = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    [paused] = [text for text in told if "its jobs are kept" in text]
    assert "failed 3 different jobs one after the other" in paused
    assert "the model failed unexpectedly" in paused


async def all_kept(redis: Redis) -> bool:
    return await kept(redis) == JOBS


async def test_a_model_that_hangs_on_every_job_is_paused(
    redis: Redis, client: Client, predict: MoodyModel, start_bridge: StartBridge
) -> None:
    predict.is_broken = False
    predict.gate.clear()
    ids = [await client.push((number + 1, 2, 64)) for number in range(8)]
    measured = Kept()
    settings = SOON.model_copy(update={"job_deadline_s": 0.1, "max_attempts": 1})
    async with start_bridge(settings, recorder=measured):
        await eventually(lambda: ("fathom_redis_paused", 1) in measured.values)
        predict.gate.set()
        for number, job_id in enumerate(ids):
            assert await client.answer(job_id, within_s=10) == legacy_answer((number + 1, 2, 64))


async def test_a_job_that_fails_is_buried_as_ever_while_the_model_answers_others(
    redis: Redis, client: Client, predict: MoodyModel, start_bridge: StartBridge
) -> None:
    predict.is_broken = False
    async with start_bridge(SOON):
        for number in range(6):
            poison = await client.push((POISON_RED, number, 64))
            good = await client.push((number + 1, 2, 64))
            assert await client.answer(good) == legacy_answer((number + 1, 2, 64))
            answer = await client.answer(poison)
            assert isinstance(answer, dict)
            assert answer["error"]["code"] == "internal"
    assert predict.tries[POISON_RED] == 6 * FAST.max_attempts
    assert await redis.llen(keys.DEAD_LETTERS) == 6


async def test_jobs_at_fault_before_the_others_hide_neither_them_nor_themselves(
    redis: Redis, client: Client, predict: MoodyModel, start_bridge: StartBridge
) -> None:
    predict.is_broken = False
    measured = Kept()
    poisons = [await client.push((POISON_RED, number, 64)) for number in range(6)]
    async with start_bridge(SOON, recorder=measured):
        await eventually(lambda: ("fathom_redis_paused", 1) in measured.values)
        good = await client.push((5, 6, 64))
        assert await client.answer(good, within_s=10) == legacy_answer((5, 6, 64))
        # Fed again, and with an answer now and then, each of them has its tries.
        for number, poison in enumerate(poisons):
            await eventually(lambda poison=poison, number=number: is_over(client, poison, number), within_s=20)
    letters = [json.loads(raw)["id"] for raw in await redis.lrange(keys.DEAD_LETTERS, 0, -1)]
    assert sorted(letters) == sorted(poisons)


async def is_over(client: Client, poison: str, number: int) -> bool:
    good = await client.push((number + 1, 9, 64))
    assert await client.answer(good, within_s=10) == legacy_answer((number + 1, 9, 64))
    return bool(await client.redis.exists(poison))


class StuckModel(FakeModel):
    """A red picture takes all those with it that are asked together with it."""

    async def __call__(self, model: str, requests: Sequence[Request]) -> list[Outcome]:
        reds = [int(one.image.pixels[0, 0, 0]) for one in requests if one.image.pixels is not None]
        if POISON_RED in reds:
            return [DeadlineExceeded("the model did not answer in time")] * len(requests)
        return await super().__call__(model, requests)


async def test_a_job_that_takes_others_with_it_is_found_and_none_of_them_is_buried(
    redis: Redis, client: Client, catalogue: FakeCatalogue, valkey: ValkeyProcess
) -> None:
    colours = [(number + 1, 2, 64) for number in range(24)]
    ids = [await client.push(colour) for colour in colours[:9]]
    poison = await client.push((POISON_RED, 2, 64))
    ids += [await client.push(colour) for colour in colours[9:]]
    async with connected(valkey.address) as connections:
        bridge = Bridge(connections, StuckModel(), catalogue, SOON)
        bridge.start()
        for colour, job_id in zip(colours, ids, strict=True):
            assert await client.answer(job_id, within_s=20) == legacy_answer(colour)
        answer = await client.answer(poison, within_s=20)
        await bridge.stop(drain_s=5)
    assert isinstance(answer, dict)
    assert answer["error"]["code"] == "deadline-exceeded"
    assert await redis.llen(keys.DEAD_LETTERS) == 1


@contextlib.asynccontextmanager
async def connected(url: str) -> AsyncIterator[Connections]:
    client = connect(url, FAST.longest_block_s)
    yield Connections(client)
    await client.aclose()


async def test_jobs_that_waited_long_enough_for_a_paused_model_are_told_so(
    redis: Redis, client: Client, predict: MoodyModel, start_bridge: StartBridge
) -> None:
    ids = [await client.push((number + 1, 2, 64)) for number in range(10)]
    async with start_bridge(SOON.model_copy(update={"give_up_after_s": 1, "longest_pause_s": 60})):
        answers = [await client.answer(job_id, within_s=10) for job_id in ids]
    for answer in answers:
        assert isinstance(answer, dict)
        assert answer["error"]["code"] in ("model-unavailable", "internal")


def test_only_failures_of_different_jobs_without_an_answer_between_them_pause_a_model() -> None:
    breaker = CircuitBreaker(pause_after=2, longest_pause_s=60)
    failures: list[ServingError] = [InternalError("a"), DeadlineExceeded("b"), ModelCrashed("c")]
    for failure in failures:
        assert not breaker.note(["same"], [failure], is_probe=False)
        assert not breaker.note(["other"], [InvalidImage("the asker's")], is_probe=False)
    assert breaker.admit(9) == 9
    assert breaker.note(["different"], [InternalError("d")], is_probe=False)
    assert breaker.is_paused
    assert breaker.admit(9) == 0


def test_one_job_at_a_time_is_tried_at_growing_intervals() -> None:
    now_s = 100.0
    breaker = CircuitBreaker(1, 5 * SHORTEST_PAUSE_S, lambda: now_s)
    breaker.note(["first"], [InternalError("no")], is_probe=False)
    waits: list[float] = []
    for _ in range(5):
        waited_s = 0.0
        while not breaker.room:
            now_s += 0.5
            waited_s += 0.5
        assert breaker.admit(9) == 1
        assert breaker.admit(9) == 0
        breaker.note(["probe"], [InternalError("no")], is_probe=True)
        waits.append(waited_s)
    assert waits == [1, 2, 4, 5, 5]


def test_a_model_that_answers_again_is_fed_twice_as_much_each_time_and_paused_at_the_next_failure() -> None:
    now_s = 0.0
    breaker = CircuitBreaker(2, 60, lambda: now_s)
    assert breaker.admit(2) == 2
    assert breaker.note(["a", "b"], [InternalError("no")] * 2, is_probe=False)
    now_s = SHORTEST_PAUSE_S
    for admitted in (1, 2, 4, 8):
        assert breaker.admit(99) == admitted
        assert breaker.admit(99) == 0
        outcomes = [prediction_for(np.zeros((1, 1, 3), np.uint8))] * admitted
        breaker.note(["x"] * admitted, outcomes, is_probe=admitted == 1)
    assert breaker.admit(3) == 3
    assert breaker.note(["c"] * 3, [DeadlineExceeded("late")] * 3, is_probe=False)
    assert breaker.is_paused


async def test_a_model_that_was_idle_while_it_was_paused_is_tried_before_anybody_is_refused(
    client: Client, predict: MoodyModel, start_bridge: StartBridge
) -> None:
    settings = SOON.model_copy(update={"pause_after": 1, "max_attempts": 2, "give_up_after_s": 0.8})
    async with start_bridge(settings):
        refused = await client.answer(await client.push((1, 2, 64)))
        assert isinstance(refused, dict)
        predict.is_broken, predict.takes_s = False, 0.3
        idle_until_s = time.monotonic() + 1.0
        await eventually(lambda: time.monotonic() > idle_until_s)
        ids = [await client.push((number + 1, 2, 64)) for number in range(30)]
        answers = [await client.answer(job_id, within_s=10) for job_id in ids]
    assert answers == [legacy_answer((number + 1, 2, 64)) for number in range(30)]
