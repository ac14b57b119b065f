"""What the bridge says of the server that it finds, and what it leaves behind."""

import asyncio
import logging

import pytest
from redis.asyncio import Redis

from redis_bridge import keys
from redis_bridge.client.connection import ErrorLog, connect
from redis_bridge.server.valkey_process import ValkeyProcess
from redis_bridge.store.job_store import JobStore
from redis_bridge.store.leases import DeadLetter, JobAnswer, Lease
from redis_bridge.store.retry_records import RetryRecord
from tests.redis_bridge.conftest import StartBridge
from tests.redis_bridge.fakes import FAST, QUEUE, Client, eventually, legacy_answer
from tests.redis_bridge.store.bare_liveness import BRIDGE, liveness

DEAD = "00000000dead"


async def test_a_server_that_evicts_keys_is_warned_of(redis: Redis, caplog: pytest.LogCaptureFixture) -> None:
    await redis.config_set("maxmemory-policy", "allkeys-lru")
    await redis.config_set("maxmemory", "100mb")
    try:
        with caplog.at_level(logging.WARNING):
            await liveness(redis).beat()
    finally:
        await redis.config_set("maxmemory", 0)
        await redis.config_set("maxmemory-policy", "noeviction")
    assert "set maxmemory-policy noeviction" in caplog.text
    caplog.clear()
    await liveness(redis).beat()
    assert not caplog.text


async def test_the_heartbeat_goes_on_while_the_server_is_full(redis: Redis) -> None:
    await redis.config_set("maxmemory", 1)
    try:
        await liveness(redis).beat()
        assert await redis.exists(keys.heartbeat(BRIDGE))
    finally:
        await redis.config_set("maxmemory", 0)


async def test_orphans_are_found_without_any_record_of_their_bridge(redis: Redis) -> None:
    taken_over: list[tuple[str, int]] = []
    await redis.rpush(keys.Slot(QUEUE, DEAD, 3).key, "orphan")
    await redis.rpush(QUEUE, "next")
    ours = liveness(redis, taken_over)
    await ours.beat()
    await ours.sweep_if_due()
    assert await redis.lrange(QUEUE, 0, -1) == [b"orphan", b"next"]
    assert taken_over == [(QUEUE, 1)]


async def test_the_slot_of_a_living_bridge_and_a_key_that_only_looks_like_a_slot_stay(redis: Redis) -> None:
    living = keys.Slot(QUEUE, "00000000beef", 3).key
    similar = f"{QUEUE}:inflight:notes"
    await redis.set(keys.heartbeat("00000000beef"), "alive", ex=60)
    await redis.rpush(living, "held")
    await redis.rpush(similar, "of somebody else")
    ours = liveness(redis)
    await ours.beat()
    await ours.sweep_if_due()
    assert await redis.lrange(living, 0, -1) == [b"held"]
    assert await redis.lrange(similar, 0, -1) == [b"of somebody else"]
    await redis.delete(living, similar)


async def test_an_orphan_whose_queue_is_no_list_does_not_keep_others_from_theirs(redis: Redis) -> None:
    await redis.set("other_queue_broken", "text")
    stuck = keys.Slot("other_queue_broken", DEAD, 1).key
    await redis.rpush(stuck, "stuck")
    await redis.rpush(keys.Slot(QUEUE, DEAD, 2).key, "orphan")
    ours = liveness(redis)
    await ours.beat()
    await ours.sweep_if_due()
    assert await redis.lrange(QUEUE, 0, -1) == [b"orphan"]
    assert await redis.delete(stuck) == 1


async def test_a_job_that_was_taken_over_is_not_buried_by_the_bridge_that_lost_it(redis: Redis) -> None:
    jobs = JobStore(redis, BRIDGE, FAST)
    await redis.rpush(QUEUE, "job")
    [reserved] = await jobs.reserve(QUEUE, most=1, most_bytes=100)
    lease = Lease(reserved.lease.slot, reserved.lease.fingerprint, RetryRecord(1, 5.0))
    await jobs.remember(lease)
    await redis.lmove(reserved.lease.slot.key, QUEUE, "LEFT", "RIGHT")
    await redis.set("an-id", "[]", ex=60)
    buried = await jobs.dead_letter(
        lease, DeadLetter("an-id", "internal", "failed here", 3), JobAnswer(lease, "an-id", b"error")
    )
    assert not buried.is_done
    assert not buried.is_answered
    assert await redis.get("an-id") == b"[]"
    assert await redis.llen(keys.DEAD_LETTERS) == 0
    assert await redis.hget(keys.attempts(QUEUE), reserved.lease.fingerprint) == b"1 5.000"


@pytest.mark.parametrize("text", [b"short", b"\x00" + bytes(range(256)) * 20], ids=["short", "long"])
async def test_jobs_of_a_dead_bridge_are_suspects_and_only_the_one_on_trial_has_had_a_try(
    redis: Redis, text: bytes
) -> None:
    dead = JobStore(redis, DEAD, FAST)
    await redis.rpush(QUEUE, text, b"beside it")
    accused, bystander = await dead.reserve(QUEUE, most=2, most_bytes=10**6)
    await dead.begin_trial(accused.lease.slot)
    ours = liveness(redis)
    await ours.beat()
    await ours.sweep_if_due()
    successor = JobStore(redis, BRIDGE, FAST)
    again = await successor.reserve(QUEUE, most=2, most_bytes=10**6)
    tries = {each.payload: (each.lease.attempts, each.lease.is_suspect) for each in again if each.lease.record}
    assert tries == {accused.payload: (1, True), bystander.payload: (0, True)}
    assert not await redis.exists(keys.trial(DEAD))
    for each in again:
        await successor.requeue([each.lease])


async def test_a_bridge_that_leaves_jobs_behind_stays_listed_for_its_successor(redis: Redis) -> None:
    ours = liveness(redis)
    await ours.beat()
    await ours.leave(leaves_jobs=True)
    assert await redis.smembers(keys.BRIDGES) == {BRIDGE.encode()}
    await ours.leave(leaves_jobs=False)
    assert not await redis.exists(keys.BRIDGES)


async def test_a_bridge_cut_off_from_redis_is_no_longer_sure_that_it_counts_as_living_until_it_has_beaten_again(
    own_valkey: ValkeyProcess, start_bridge: StartBridge
) -> None:
    own_valkey.start()
    async with start_bridge(url=own_valkey.address) as bridge:
        await eventually(lambda: bridge.queues)
        await asyncio.to_thread(own_valkey.stop)
        await eventually(lambda: not bridge._liveness.is_sure)
        await asyncio.to_thread(own_valkey.start)
        redis = connect(own_valkey.address, longest_block_s=1)
        client = Client(redis)
        assert await client.answer(await client.push((1, 2, 64)), within_s=10) == legacy_answer((1, 2, 64))
        await eventually(lambda: bridge._liveness.is_sure)
        await redis.aclose()


def test_an_outage_is_told_once_for_each_kind_and_period(caplog: pytest.LogCaptureFixture) -> None:
    log = ErrorLog(period_s=3600)
    with caplog.at_level(logging.WARNING):
        for _ in range(5):
            log.warn("the heartbeat did not reach Redis", ConnectionError("away"))
            log.warn("queue a could not be read", ConnectionError("away"))
    assert [record.getMessage() for record in caplog.records] == [
        "the heartbeat did not reach Redis, trying again: away",
        "queue a could not be read, trying again: away",
    ]
