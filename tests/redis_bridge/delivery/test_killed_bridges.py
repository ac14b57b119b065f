"""No job is lost: bridges killed at every point, by their own jobs too, and siblings side by side."""

import asyncio
import signal

import psutil
from redis.asyncio import Redis

from redis_bridge import keys
from redis_bridge.server.valkey_process import ValkeyProcess
from redis_bridge.store.retry_records import RetryRecord, fingerprint
from tests.redis_bridge.bridge_process import MAX_ATTEMPTS, POISON
from tests.redis_bridge.conftest import BridgeProcesses, StartBridge
from tests.redis_bridge.fakes import FAST, QUEUE, Client, FakeCatalogue, FakeModel, eventually, legacy_answer, model
from tests.redis_bridge.redis_state import gone, has_slots, slots

POINTS = (
    "after-wait",
    "after-take",
    "before-predict",
    "after-predict",
    "before-settle",
    "after-settle",
)


async def test_bridges_killed_at_every_point_of_a_jobs_life_lose_nothing(
    redis: Redis,
    valkey: ValkeyProcess,
    bridges: BridgeProcesses,
    catalogue: FakeCatalogue,
    start_bridge: StartBridge,
) -> None:
    queues = [f"image_queue_{point}" for point in POINTS]
    clients = [Client(redis, queue) for queue in queues]
    # The first point is only reached by a job that comes while its bridge waits for one.
    pids = [bridges.start(valkey.address, queues[0], POINTS[0])]
    await eventually(lambda: blocked(redis, 1))
    ids = [await client.push((number + 1, 2, 64)) for number, client in enumerate(clients)]
    pids += [bridges.start(valkey.address, *each) for each in zip(queues[1:], POINTS[1:], strict=True)]
    endings = [await asyncio.to_thread(bridges.ending, pid) for pid in pids]
    assert endings == [-signal.SIGKILL] * len(POINTS)
    answered = [bool(await redis.exists(job_id)) for job_id in ids]
    assert answered == [point == "after-settle" for point in POINTS]
    catalogue.shown = tuple(model(f"model-{queue}", queue) for queue in queues)
    async with start_bridge():
        for number, (client, job_id) in enumerate(zip(clients, ids, strict=True)):
            assert await client.answer(job_id, within_s=10) == legacy_answer((number + 1, 2, 64))
        await eventually(lambda: only_living_bridges(redis, 1))
    assert await slots(redis) == []


async def blocked(redis: Redis, count: int) -> bool:
    return (await redis.info("clients"))["blocked_clients"] >= count


async def only_living_bridges(redis: Redis, count: int) -> bool:
    return await redis.scard(keys.BRIDGES) == count


async def test_a_bridge_killed_with_twenty_jobs_in_flight_has_each_taken_over_once(
    redis: Redis,
    client: Client,
    valkey: ValkeyProcess,
    bridges: BridgeProcesses,
    predict: FakeModel,
    start_bridge: StartBridge,
) -> None:
    pid = bridges.start(valkey.address, QUEUE, "silent")
    ids = [await client.push((number + 1, 2, 64)) for number in range(20)]
    await eventually(lambda: has_slots(redis, 20), within_s=10)
    async with start_bridge(), start_bridge():
        bridges.kill(pid)
        for number, job_id in enumerate(ids):
            assert await client.answer(job_id, within_s=10) == legacy_answer((number + 1, 2, 64))
        await eventually(lambda: has_slots(redis, 0))
    assert predict.asked == 20


async def test_two_bridges_share_a_queue_without_doubling_or_stealing(
    redis: Redis, client: Client, predict: FakeModel, start_bridge: StartBridge
) -> None:
    predict.gate.clear()
    settings = FAST.model_copy(update={"slots_per_queue": 10})
    async with start_bridge(settings), start_bridge(settings):
        ids = [await client.push((number + 1, 2, 64)) for number in range(30)]
        await eventually(lambda: predict.waiting == 20)
        held = sorted(await slots(redis))
        beats = await eventually_silent_for_a_takeover(redis)
        assert sorted(await slots(redis)) == held
        assert beats
        predict.gate.set()
        for number, job_id in enumerate(ids):
            assert await client.answer(job_id) == legacy_answer((number + 1, 2, 64))
    assert predict.asked == 30


async def eventually_silent_for_a_takeover(redis: Redis) -> bool:
    """Waits half as long again as a silent bridge would be given, by the expiry of a key."""
    await redis.set("fathomnet:test-clock", 1, px=int(FAST.takeover_after_s * 1500))
    await eventually(lambda: gone(redis, "fathomnet:test-clock"))
    return True


async def test_a_job_that_took_its_bridges_down_too_often_is_buried_untried(
    redis: Redis, client: Client, predict: FakeModel, start_bridge: StartBridge
) -> None:
    job_id = await client.push()
    text = await redis.lindex(QUEUE, 0)
    await redis.hset(
        keys.attempts(QUEUE), fingerprint(text), RetryRecord(FAST.max_attempts, 1e9, is_suspect=True).text()
    )
    await redis.expire(keys.attempts(QUEUE), 60)
    async with start_bridge():
        answer = await client.answer(job_id)
    assert isinstance(answer, dict)
    assert answer["error"]["code"] == "internal"
    assert predict.calls == 0
    assert await redis.llen(keys.DEAD_LETTERS) == 1
    assert not await redis.exists(keys.attempts(QUEUE))


async def test_a_job_that_kills_its_bridges_is_buried_and_those_beside_it_are_answered(
    redis: Redis, valkey: ValkeyProcess, bridges: BridgeProcesses
) -> None:
    client = Client(redis)
    before = [await client.push((number + 1, 2, 64)) for number in range(5)]
    poison = await client.push(POISON)
    after = [await client.push((number + 6, 2, 64)) for number in range(5)]
    deaths = 0
    while not await redis.exists(poison):
        pid = bridges.start(valkey.address, QUEUE, "poison")
        await eventually(lambda pid=pid: is_dead_or(redis, pid, poison), within_s=10)
        if not await redis.exists(poison):
            assert await asyncio.to_thread(bridges.ending, pid) == -signal.SIGKILL
            deaths += 1
    # Once beside others, which says nothing of anybody, and then each of its tries alone.
    assert deaths == 1 + MAX_ATTEMPTS
    assert await client.answer(poison) == {
        "error": {
            "code": "internal",
            "message": f"given up: {MAX_ATTEMPTS} attempts of this job ended without an answer",
        }
    }
    for number, job_id in enumerate(before + after):
        assert await client.answer(job_id, within_s=10) == legacy_answer((number + 1, 2, 64))
    assert await redis.llen(keys.DEAD_LETTERS) == 1
    await eventually(lambda: gone(redis, keys.attempts(QUEUE)))
    bridges.kill(pid)


async def is_dead_or(redis: Redis, pid: int, job_id: str) -> bool:
    """Whether the process has died, or the job has an answer."""
    return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE or bool(await redis.exists(job_id))
