"""What is told of a job's end is what came of it: announced only when written, counted only when done."""

import hashlib
import json
from typing import Any

import pytest
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as RedisConnectionError

from deployments.errors import InvalidImage
from redis_bridge import keys
from redis_bridge.bridge import Bridge
from redis_bridge.client.connection import Connections
from redis_bridge.client.scripts import ALLOW_OOM
from redis_bridge.server.valkey_process import ValkeyProcess
from redis_bridge.store import job_scripts
from redis_bridge.store.job_store import JobStore
from redis_bridge.store.leases import DeadLetter, JobAnswer
from tests.redis_bridge.conftest import StartBridge
from tests.redis_bridge.fakes import FAST, QUEUE, Client, FakeCatalogue, FakeModel, eventually, legacy_answer
from tests.redis_bridge.kept_metrics import Kept

BRIDGE = "0123456789ab"
LIST = "done:client-7"
SETTLE_SHA = hashlib.sha1((ALLOW_OOM + job_scripts.ACK).encode()).hexdigest()


async def slots(redis: Redis) -> list[bytes]:
    return [key async for key in redis.scan_iter(match=keys.SLOTS_PATTERN)]


async def test_an_error_that_was_not_written_is_neither_announced_nor_counted(
    redis: Redis, client: Client, predict: FakeModel, start_bridge: StartBridge
) -> None:
    predict.gate.clear()
    predict.errors = [InvalidImage("damaged")]
    kept = Kept()
    async with start_bridge(recorder=kept):
        job_id = await client.push(done_list=LIST)
        await eventually(lambda: predict.waiting == 1)
        # Another bridge has taken the job over.
        await redis.delete(*await slots(redis))
        predict.gate.set()
        await eventually(lambda: ("fathom_redis_jobs_total", (QUEUE, "taken-over")) in kept.seen)
        # An announcement would come before the end of the next job.
        assert await client.answer(await client.push((1, 2, 64))) == legacy_answer((1, 2, 64))
    assert not await redis.exists(job_id, LIST)
    assert not [name for name, _ in kept.seen if name == "fathom_redis_dead_letters_total"]


async def test_an_error_whose_key_holds_something_else_is_a_dead_letter_and_not_announced(
    redis: Redis, client: Client, predict: FakeModel, start_bridge: StartBridge
) -> None:
    predict.errors = [InvalidImage("damaged")]
    await redis.rpush("image_queue_of_others", "theirs")
    kept = Kept()
    async with start_bridge(recorder=kept):
        await client.push(id="image_queue_of_others", done_list=LIST)
        await eventually(lambda: "fathom_redis_dead_letters_total" in [name for name, _ in kept.seen])
        assert await client.answer(await client.push((1, 2, 64))) == legacy_answer((1, 2, 64))
    assert not await redis.exists(LIST)
    assert await redis.lrange("image_queue_of_others", 0, -1) == [b"theirs"]


@pytest.mark.parametrize("has_answer", [True, False])
async def test_a_burial_whose_result_was_lost_is_known_to_be_done(redis: Redis, has_answer: bool) -> None:
    jobs = JobStore(redis, BRIDGE, FAST)
    await redis.rpush(QUEUE, "job")
    [reserved] = await jobs.reserve(QUEUE, most=1, most_bytes=100)
    lease = reserved.lease
    letter = DeadLetter("an-id", "internal", "failed here", 3)
    answer = JobAnswer(lease, "an-id", b"error") if has_answer else None
    results = [await jobs.dead_letter(lease, letter, answer) for _ in range(2)]
    assert [(result.is_done, result.is_answered) for result in results] == [(True, has_answer)] * 2
    assert await redis.llen(keys.DEAD_LETTERS) == 1


class LossyRedis(Redis):
    """Its first settlement is carried out, and the result is lost on the way."""

    has_lost = False

    async def execute_command(self, *args: Any, **options: Any) -> Any:
        answer = await super().execute_command(*args, **options)
        if args[:2] == ("EVALSHA", SETTLE_SHA) and not self.has_lost:
            self.has_lost = True
            raise RedisConnectionError("the connection was cut")
        return answer


async def test_an_answer_whose_result_was_lost_is_no_double_and_announced(
    redis: Redis, client: Client, valkey: ValkeyProcess, predict: FakeModel, catalogue: FakeCatalogue
) -> None:
    kept = Kept()
    lossy = LossyRedis.from_url(valkey.address, socket_timeout=10)
    bridge = Bridge(Connections(lossy), predict, catalogue, FAST, kept)
    bridge.start()
    job_id = await client.push((1, 2, 64), done_list=LIST)
    await eventually(lambda: redis.exists(LIST))
    await bridge.stop(drain_s=5)
    await lossy.aclose()
    assert lossy.has_lost
    assert await redis.lrange(LIST, 0, -1) == [job_id.encode()]
    assert json.loads(await redis.get(job_id)) == legacy_answer((1, 2, 64))
    assert "fathom_redis_doubles_total" not in [name for name, _ in kept.seen]


async def test_a_letter_whose_job_goes_for_a_newer_one_is_counted_and_told(
    redis: Redis,
    client: Client,
    predict: FakeModel,
    start_bridge: StartBridge,
    caplog: pytest.LogCaptureFixture,
) -> None:
    kept = Kept()
    async with start_bridge(FAST.model_copy(update={"dead_letter_payloads": 2}), recorder=kept):
        for _ in range(3):
            predict.errors = [InvalidImage("damaged")]
            await client.answer(await client.push())
        await eventually(lambda: ("fathom_redis_dropped_dead_letters_total", 1) in kept.values)
    assert [name for name, _ in kept.values].count("fathom_redis_dropped_dead_letters_total") == 1
    told = [record.getMessage() for record in caplog.records if "is a dead letter" in record.getMessage()]
    assert ["the job of letter 1 had to go for it" in text for text in told] == [False, False, True]
