"""The age of the oldest job, told from the length of its queue, against a queue whose jobs carry their times."""

import asyncio
import time
from collections import deque
from collections.abc import Sequence

import numpy as np
import pytest

from deployments.catalogue import ModelState
from deployments.prediction import Outcome
from deployments.request import Request
from redis_bridge import metrics
from redis_bridge.metrics import Metric
from redis_bridge.store.queue_age import FINENESS, QueueAge
from tests.redis_bridge.conftest import StartBridge
from tests.redis_bridge.fakes import FAST, MODEL, QUEUE, Client, FakeCatalogue, FakeModel, eventually, model


class TimedQueue:
    """A queue whose jobs are the times at which they came."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.jobs: deque[float] = deque()
        self.left = 0

    def push(self, count: int) -> None:
        self.jobs.extend([self.now_s] * count)

    def take(self, count: int) -> None:
        for _ in range(min(count, len(self.jobs))):
            self.jobs.popleft()
            self.left += 1

    @property
    def age_s(self) -> float:
        return self.now_s - self.jobs[0] if self.jobs else 0.0


def look(age: QueueAge, queue: TimedQueue) -> float:
    return age.update(queue.now_s, len(queue.jobs), queue.left)


def test_an_empty_queue_has_no_age() -> None:
    assert QueueAge().update(5.0, 0, 0) == 0.0


def test_a_queue_that_nobody_serves_grows_old() -> None:
    age, queue = QueueAge(), TimedQueue()
    queue.push(3)
    assert [look(age, queue)] == [0.0]
    for queue.now_s in (2.0, 4.0, 60.0):
        queue.push(1)
        assert look(age, queue) == queue.now_s


def test_the_age_falls_when_old_jobs_leave_and_is_gone_with_the_last() -> None:
    age, queue = QueueAge(), TimedQueue()
    for queue.now_s in (0.0, 10.0, 20.0):
        queue.push(5)
        look(age, queue)
    queue.now_s = 30.0
    queue.take(4)
    assert look(age, queue) == 30.0
    queue.take(1)
    assert look(age, queue) == 20.0
    queue.take(10)
    assert look(age, queue) == 0.0
    queue.push(1)
    queue.now_s = 31.0
    assert look(age, queue) == 0.0, "first seen now"


def test_jobs_that_are_given_back_are_as_old_as_they_were() -> None:
    age, queue = QueueAge(), TimedQueue()
    queue.push(2)
    look(age, queue)
    queue.now_s = 10.0
    queue.take(2)
    queue.push(1)
    assert look(age, queue) == 0.0
    queue.jobs.extendleft([0.0, 0.0])
    queue.left -= 2
    queue.now_s = 12.0
    assert look(age, queue) == pytest.approx(2.0), "as long as it was seen to wait"


@pytest.mark.parametrize("seed", range(5))
def test_the_age_is_right_to_the_time_between_two_looks(seed: int) -> None:
    random = np.random.default_rng(seed)
    age, queue = QueueAge(), TimedQueue()
    told: list[float] = []
    for step in range(4000):
        queue.now_s = step * 0.5
        queue.push(int(random.integers(0, 12)))
        queue.take(int(random.integers(0, 9 if step < 2000 else 16)))
        if step % 4 == 0:
            told.append(look(age, queue))
            slack_s = 2.0 + queue.age_s * 2 / FINENESS
            assert queue.age_s - slack_s <= told[-1] <= queue.age_s
    assert max(told) > 100, "the queue was in arrears for a while"


def test_what_is_remembered_of_a_queue_that_only_grows_stays_small() -> None:
    age = QueueAge()
    for look_number in range(50_000):
        assert age.update(2.0 * look_number, look_number + 1, 0) == 2.0 * look_number
    assert len(age._seen) < 12 * FINENESS


class Measured:
    """A recorder that keeps the last age and depth of each queue."""

    def __init__(self) -> None:
        self.ages_s: dict[str, float] = {}
        self.depths: dict[str, float] = {}

    def record(self, metric: Metric, value: float, *tags: str) -> None:
        if metric is metrics.OLDEST_JOB_SECONDS:
            self.ages_s[tags[0]] = value
        if metric is metrics.QUEUE_DEPTH:
            self.depths[tags[0]] = value


class StepwiseModel(FakeModel):
    """Answers one call for each permit."""

    def __init__(self) -> None:
        super().__init__()
        self.permits = asyncio.Semaphore(0)

    async def __call__(self, model: str, requests: Sequence[Request]) -> list[Outcome]:
        await self.permits.acquire()
        return await super().__call__(model, requests)


@pytest.fixture
async def predict() -> StepwiseModel:
    return StepwiseModel()


async def test_the_bridge_tells_how_long_jobs_wait_for_a_model_that_is_away(
    client: Client, catalogue: FakeCatalogue, predict: StepwiseModel, start_bridge: StartBridge
) -> None:
    measured = Measured()
    catalogue.shown = (model(MODEL, QUEUE, state=ModelState.STARTING),)
    async with start_bridge(recorder=measured):
        job_id = await client.push()
        await eventually(lambda: measured.ages_s.get(QUEUE, 0) > 0.15)
        catalogue.shown = (model(MODEL, QUEUE),)
        predict.permits.release()
        await client.answer(job_id)
        await eventually(lambda: measured.ages_s[QUEUE] == 0)


async def test_jobs_that_the_bridge_has_taken_wait_no_more(
    client: Client, predict: StepwiseModel, start_bridge: StartBridge
) -> None:
    measured = Measured()
    async with start_bridge(FAST.model_copy(update={"slots_per_queue": 1}), recorder=measured):
        first = await client.push()
        await eventually(lambda: measured.depths.get(QUEUE) == 0)
        second = await client.push()
        second_pushed_s = time.monotonic()
        await eventually(lambda: measured.ages_s[QUEUE] > 0.5)
        third = await client.push()
        await eventually(lambda: measured.depths[QUEUE] == 2)
        predict.permits.release()
        await client.answer(first)
        await eventually(lambda: measured.depths[QUEUE] == 1)
        assert time.monotonic() - second_pushed_s - measured.ages_s[QUEUE] > 0.45, "the age of the second"
        for job_id in (second, third):
            predict.permits.release()
            await client.answer(job_id)
