"""A clock that is set forward or back buries no job and kills no bridge."""

import time

import pytest
from redis.asyncio import Redis

from deployments.errors import ModelUnavailable
from redis_bridge import keys
from redis_bridge.client.clock import SteadyClock
from redis_bridge.store.retry_records import RetryRecord, fingerprint
from tests.redis_bridge.conftest import StartBridge
from tests.redis_bridge.fakes import FAST, QUEUE, Client, FakeModel, legacy_answer
from tests.redis_bridge.store.bare_liveness import liveness

LIVING = "00000000beef"
JUMP_S = 700.0


def clock_beside(server_s: float) -> SteadyClock:
    """A clock that has seen the server's show `server_s`."""
    clock = SteadyClock(jump_s=FAST.takeover_after_s / 2, settle_s=FAST.takeover_after_s)
    clock.observe(server_s, time.monotonic())
    return clock


@pytest.mark.parametrize("jump_s", [JUMP_S, -JUMP_S])
def test_a_jump_of_the_servers_clock_is_seen_and_left_out(jump_s: float) -> None:
    clock = clock_beside(5000.0)
    first_s = clock.now_s()
    assert clock.is_settled
    assert clock.observe(5000.0 + jump_s, time.monotonic())
    assert not clock.is_settled
    assert abs(clock.waited_s(first_s)) < 1
    assert clock.expected_s() == pytest.approx(5000 + jump_s, abs=1)
    assert not clock.observe(5000.0 + jump_s, time.monotonic())


def test_a_clock_that_runs_a_little_differently_is_followed() -> None:
    clock = clock_beside(5000.0)
    for step in range(1, 11):
        assert not clock.observe(5000.0 + 0.1 * step, time.monotonic())
    assert clock.now_s() == pytest.approx(5001, abs=0.5)
    assert clock.is_settled


def test_an_answer_that_took_long_is_no_jump() -> None:
    clock = clock_beside(5000.0)
    assert not clock.observe(5000.0 - 30, time.monotonic() - 60)
    assert clock.is_settled


def test_no_more_time_has_passed_than_a_bridge_has_lived() -> None:
    assert clock_beside(5000.0 + JUMP_S).waited_s(5000.0) < 1


async def test_a_living_bridge_whose_heartbeat_has_expired_by_a_jump_keeps_its_jobs(redis: Redis) -> None:
    slot = keys.Slot(QUEUE, LIVING, 1).key
    await redis.rpush(slot, "in work there")
    # What was seen of the server's clock before somebody set it forward.
    ours = liveness(redis, clock=clock_beside(time.time() - JUMP_S))
    await ours.sweep_if_due()
    assert await redis.lrange(slot, 0, -1) == [b"in work there"]
    # The beat sees the jump; others are given the time to beat as well.
    await ours.beat()
    await ours.sweep_if_due()
    assert await redis.lrange(slot, 0, -1) == [b"in work there"]
    await redis.delete(slot)


async def test_a_job_that_was_first_tried_before_a_jump_is_not_given_up_for_it(
    redis: Redis, client: Client, predict: FakeModel, start_bridge: StartBridge
) -> None:
    job_id = await client.push((1, 2, 64))
    text = await redis.lindex(QUEUE, 0)
    long_ago = RetryRecord(0, time.time() - JUMP_S)
    await redis.hset(keys.attempts(QUEUE), fingerprint(text), long_ago.text())
    predict.errors = [ModelUnavailable("being replaced")]
    async with start_bridge():
        assert await client.answer(job_id) == legacy_answer((1, 2, 64))
    assert await redis.llen(keys.DEAD_LETTERS) == 0
