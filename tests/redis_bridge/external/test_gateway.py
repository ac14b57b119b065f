"""External workers through the gateway: real Valkey, workers as the legacy fleet runs them."""

import asyncio
import contextlib
import io
import json
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import numpy as np
import PIL.Image
import pytest
from redis.asyncio import Redis

from deployments.errors import (
    DeadlineExceeded,
    ImageTooLarge,
    InternalError,
    InvalidImage,
    ModelNotFound,
    ModelUnavailable,
    Overloaded,
)
from deployments.external import ExternalRequest, ExternalWorker, Task, WholeCatalogue, record_of
from deployments.prediction import Opaque
from deployments.request import Image
from redis_bridge import keys
from redis_bridge.admission.limits import ByteReservation, InFlightBytes
from redis_bridge.client.connection import connect
from redis_bridge.external.gateway import ExternalGateway
from redis_bridge.external.store import ExternalJobStore
from redis_bridge.metrics import Metric
from redis_bridge.server.valkey_process import ValkeyProcess
from redis_bridge.settings import BridgeSettings
from tests.redis_bridge.conftest import StartBridge
from tests.redis_bridge.external.legacy_workers import detections, segments, worker
from tests.redis_bridge.fakes import FAST, MODEL, QUEUE, Client, FakeCatalogue, eventually, legacy_answer, model

CORAL = "image_queue_coral"
SAM = "image_queue_sam"
SETTINGS = BridgeSettings(external_queues=(CORAL, SAM), max_job_bytes=2**20)

StartGateway = Callable[..., contextlib.AbstractAsyncContextManager[ExternalGateway]]


def png(size_px: tuple[int, int] = (8, 6), colour: tuple[int, int, int] = (10, 20, 30)) -> bytes:
    buffer = io.BytesIO()
    PIL.Image.new("RGB", size_px, colour).save(buffer, "PNG")
    return buffer.getvalue()


def request(
    task: Task = Task.PREDICT, file: bytes | None = None, deadline_s: float = 5.0, prompts: Any = None
) -> ExternalRequest:
    return ExternalRequest(task, Image.from_encoded(png() if file is None else file), deadline_s, prompts)


@contextlib.asynccontextmanager
async def gateway_at(
    url: str, settings: BridgeSettings = SETTINGS, in_flight: InFlightBytes | None = None
) -> AsyncIterator[ExternalGateway]:
    client = connect(url, longest_block_s=1)
    queues = dict.fromkeys(settings.external_queues)
    gateway = ExternalGateway(ExternalJobStore(client, settings), settings, lambda: queues, in_flight=in_flight)
    gateway.start()
    try:
        yield gateway
        gateway.check()
    finally:
        await gateway.stop()
        await client.aclose()


@pytest.fixture
async def gateway(valkey: ValkeyProcess, redis: Redis) -> AsyncIterator[ExternalGateway]:
    del redis  # Emptied first, and searched for leaks after.
    async with gateway_at(valkey.address) as started:
        yield started


async def keys_left(redis: Redis) -> set[str]:
    return {key.decode() async for key in redis.scan_iter()}


async def test_the_workers_text_is_handed_through_and_nothing_is_left(gateway: ExternalGateway, redis: Redis) -> None:
    async with worker(redis, CORAL, detections) as taken:
        answer = await gateway.ask(CORAL, request())
    assert answer == Opaque(detections(taken[0]), CORAL)
    assert json.loads(answer.payload)[0]["bbox"] == [0, 30, 20, 10]  # BGR
    assert list(taken[0]) == ["id", "image", "height", "width"]
    await eventually(lambda: nothing_left(redis))


async def nothing_left(redis: Redis) -> bool:
    return not await keys_left(redis)


@pytest.mark.parametrize(
    "text",
    [
        b'{"bboxes": [[1, 2, 3, 4]], "confidences": [0.5]}',
        b"[[0.25, 0.5], [1.0, 1.0]]",
        b'[{"scores": [0.1, 0.2, 0.3, 0.4]}]',
        b'[{"category_id": "x", "scores": ["0.5"], "bbox": "[1.0, 2.0, 3.0, 4.0]"}]',
        b"[]",
    ],
)
async def test_no_schema_is_forced_on_a_worker(gateway: ExternalGateway, redis: Redis, text: bytes) -> None:
    async with worker(redis, CORAL, lambda job: text):
        assert await gateway.ask(CORAL, request()) == Opaque(text, CORAL)


async def test_a_file_lies_under_its_key_until_the_answer(gateway: ExternalGateway, redis: Redis) -> None:
    async with worker(redis, SAM, segments) as taken:
        asked = asyncio.create_task(gateway.ask(SAM, request(Task.SEGMENT_FILE, prompts=[{"x": 1}])))
        await eventually(lambda: taken)
        assert list(taken[0]) == ["id", "img_key", "prompts"]
        assert await asked == Opaque(segments({}), SAM)
    await eventually(lambda: nothing_left(redis))


async def test_an_embedding_is_bytes(gateway: ExternalGateway, redis: Redis) -> None:
    async with worker(redis, SAM, lambda job: b"\x00\x93NUMPY\xff") as taken:
        assert await gateway.ask(SAM, request(Task.EMBED)) == Opaque(b"\x00\x93NUMPY\xff", SAM)
    assert taken[0]["embedding"] is True


async def test_a_file_that_no_worker_reads_goes_by_itself(gateway: ExternalGateway, redis: Redis) -> None:
    asked = asyncio.create_task(gateway.ask(SAM, request(Task.SEGMENT_FILE)))
    await eventually(lambda: redis.llen(SAM))
    job = json.loads((await redis.lrange(SAM, 0, 0))[0])
    assert await redis.get(job["img_key"]) == png()
    assert 0 < await redis.ttl(job["img_key"]) <= SETTINGS.result_ttl_s
    asked.cancel()
    await eventually(lambda: nothing_left(redis))


class Heard:
    """Keeps what is recorded: metric name, tags."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, ...]] = []

    def record(self, metric: Metric, value: float, *tags: str) -> None:
        assert len(tags) == len(metric.tags)
        self.heard.append((metric.name, *tags))


async def test_what_happens_is_measured(redis: Redis) -> None:
    heard = Heard()
    store = ExternalJobStore(redis, SETTINGS)
    gateway = ExternalGateway(store, SETTINGS, lambda: {CORAL: None}, heard)
    gateway.start()
    async with worker(redis, CORAL, detections):
        await gateway.ask(CORAL, request())
    await gateway.ask(CORAL, request(file=b"no picture"))
    await gateway.ask("of a client's own making", request())
    await gateway.stop()
    assert [one for one in heard.heard if one[0] == "fathom_redis_external_jobs_total"] == [
        ("fathom_redis_external_jobs_total", CORAL, "ok"),
        ("fathom_redis_external_jobs_total", CORAL, "invalid-image"),
    ]
    assert heard.heard.count(("fathom_redis_external_seconds", CORAL)) == 2


async def test_many_wait_in_one_command(gateway: ExternalGateway, redis: Redis) -> None:
    await redis.config_resetstat()
    asked = [asyncio.create_task(gateway.ask(CORAL, request())) for _ in range(40)]
    await eventually(lambda: length_is(redis, CORAL, 40))
    first = await looks(redis)
    await eventually(lambda: looked_more_often(redis, first + 4))
    commands = await redis.info("commandstats")
    assert "cmdstat_get" not in commands
    assert "cmdstat_exists" not in commands
    async with worker(redis, CORAL, detections):
        answers = await asyncio.gather(*asked)
    assert all(isinstance(answer, Opaque) for answer in answers)


async def length_is(redis: Redis, queue: str, length: int) -> bool:
    return await redis.llen(queue) == length


async def looks(redis: Redis) -> int:
    commands = await redis.info("commandstats")
    return int(commands.get("cmdstat_mget", {"calls": 0})["calls"])


async def looked_more_often(redis: Redis, times: int) -> bool:
    return await looks(redis) > times


async def test_while_nobody_waits_nobody_looks(gateway: ExternalGateway, redis: Redis) -> None:
    async with worker(redis, CORAL, detections):
        await gateway.ask(CORAL, request())
    before = await looks(redis)
    await eventually(lambda: nothing_left(redis))
    assert await looks(redis) <= before + 1


async def test_the_looks_become_rare_but_never_stop(gateway: ExternalGateway, redis: Redis) -> None:
    await redis.config_resetstat()
    started_s = time.monotonic()
    answer = await gateway.ask(CORAL, request(deadline_s=1.0))
    took_s = time.monotonic() - started_s
    assert isinstance(answer, DeadlineExceeded)
    assert 1.0 <= took_s < 2.0
    # Every 5 ms would be 200; the old web server's 0.25 s would be 4, for each asker.
    assert 8 <= await looks(redis) <= 40


async def test_a_job_that_nobody_takes_is_taken_back_at_its_deadline(gateway: ExternalGateway, redis: Redis) -> None:
    await redis.rpush(CORAL, "of somebody else")
    answer = await gateway.ask(CORAL, request(deadline_s=0.2))
    assert isinstance(answer, DeadlineExceeded)
    assert "image_queue_coral did not answer within 0.2 s" in answer.message
    await eventually(lambda: only_foreign_left(redis))


async def only_foreign_left(redis: Redis) -> bool:
    return await keys_left(redis) == {CORAL} and await redis.lrange(CORAL, 0, -1) == [b"of somebody else"]


async def test_an_asker_who_goes_takes_the_job_along(gateway: ExternalGateway, redis: Redis) -> None:
    asked = asyncio.create_task(gateway.ask(CORAL, request()))
    await eventually(lambda: length_is(redis, CORAL, 1))
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    await eventually(lambda: nothing_left(redis))


async def test_an_answer_that_comes_too_late_is_swept(gateway: ExternalGateway, redis: Redis) -> None:
    asked = asyncio.create_task(gateway.ask(CORAL, request(deadline_s=0.3)))
    await eventually(lambda: length_is(redis, CORAL, 1))
    job = json.loads(await redis.lpop(CORAL))
    assert isinstance(await asked, DeadlineExceeded)
    await eventually(lambda: is_given_up(redis, job["id"]))
    await redis.set(job["id"], "[]")
    assert await ExternalJobStore(redis, SETTINGS).sweep() == 1
    assert await keys_left(redis) == {keys.EXTERNAL_ASKED}
    assert await redis.ttl(keys.EXTERNAL_ASKED) > SETTINGS.result_ttl_s


async def is_given_up(redis: Redis, job_id: str) -> bool:
    given_up_at = await redis.zscore(keys.EXTERNAL_ASKED, job_id)
    return given_up_at is not None and given_up_at <= time.time()


async def test_what_another_bridge_waits_for_is_not_swept(gateway: ExternalGateway, redis: Redis) -> None:
    asked = asyncio.create_task(gateway.ask(CORAL, request()))
    await eventually(lambda: length_is(redis, CORAL, 1))
    assert await ExternalJobStore(redis, SETTINGS).sweep() == 0
    async with worker(redis, CORAL, detections):
        assert isinstance(await asked, Opaque)


async def test_answers_of_long_ago_are_forgotten(redis: Redis) -> None:
    await redis.zadd(keys.EXTERNAL_ASKED, {"old": time.time() - SETTINGS.result_ttl_s - 1, "new": time.time() - 1})
    await redis.expire(keys.EXTERNAL_ASKED, 100)
    await ExternalJobStore(redis, SETTINGS).sweep()
    assert await redis.zrange(keys.EXTERNAL_ASKED, 0, -1) == [b"new"]


async def test_a_worker_that_writes_no_json_is_told_so(gateway: ExternalGateway, redis: Redis) -> None:
    async with worker(redis, CORAL, lambda job: b"Traceback (most recent call last)"):
        answer = await gateway.ask(CORAL, request())
    assert isinstance(answer, InternalError)
    assert "not JSON: 'Traceback" in answer.message
    await eventually(lambda: nothing_left(redis))


async def test_only_known_queues_are_written_to(gateway: ExternalGateway, redis: Redis) -> None:
    assert isinstance(await gateway.ask("image_queue_nobody", request()), ModelNotFound)
    assert await nothing_left(redis)


async def test_wrong_pictures_never_reach_a_worker(gateway: ExternalGateway, redis: Redis) -> None:
    assert isinstance(await gateway.ask(CORAL, request(file=b"no picture")), InvalidImage)
    assert isinstance(await gateway.ask(CORAL, request(file=png((300, 300)))), ImageTooLarge)
    assert await nothing_left(redis)


async def test_pictures_and_texts_wait_for_room_in_the_budget_of_the_bridge(
    valkey: ValkeyProcess, redis: Redis
) -> None:
    budget = InFlightBytes(1000)
    others = ByteReservation(budget, 1000)
    async with gateway_at(valkey.address, in_flight=budget) as gateway, worker(redis, CORAL, detections) as taken:
        late = await gateway.ask(CORAL, request(deadline_s=0.2))
        assert isinstance(late, DeadlineExceeded)
        asked = asyncio.create_task(gateway.ask(CORAL, request()))
        others.release()
        assert isinstance(await asked, Opaque)
        assert len(taken) == 1
    assert budget.held_bytes == 0


async def test_more_than_may_wait_are_refused(valkey: ValkeyProcess, redis: Redis) -> None:
    async with gateway_at(valkey.address, SETTINGS.model_copy(update={"max_external_jobs": 2})) as gateway:
        asked = [asyncio.create_task(gateway.ask(CORAL, request())) for _ in range(2)]
        await eventually(lambda: length_is(redis, CORAL, 2))
        refused = await gateway.ask(CORAL, request())
        assert isinstance(refused, Overloaded)
        async with worker(redis, CORAL, detections):
            assert all(isinstance(answer, Opaque) for answer in await asyncio.gather(*asked))
            assert isinstance(await gateway.ask(CORAL, request()), Opaque)


async def test_a_queue_that_is_no_list_is_an_error_at_once(gateway: ExternalGateway, redis: Redis) -> None:
    await redis.set(CORAL, "text", ex=60)
    answer = await gateway.ask(CORAL, request())
    assert isinstance(answer, ModelUnavailable)
    assert "no job could be put into queue image_queue_coral" in answer.message
    await redis.delete(keys.EXTERNAL_ASKED)


async def test_redis_away_is_said_in_time_and_it_goes_on_after(own_valkey: ValkeyProcess) -> None:
    own_valkey.start()
    async with gateway_at(own_valkey.address) as gateway:
        own_valkey.stop()
        answer = await gateway.ask(CORAL, request(deadline_s=1.0))
        assert isinstance(answer, ModelUnavailable)
        assert "cannot be reached" in first_worker(gateway).reason
        assert not record_of(first_worker(gateway)).can_answer
        own_valkey.start()
        client = connect(own_valkey.address, longest_block_s=1)
        async with worker(client, CORAL, detections):
            await eventually(lambda: is_answered(gateway), within_s=10)
        assert first_worker(gateway).reason == ""
        await client.aclose()


def first_worker(gateway: ExternalGateway) -> ExternalWorker:
    workers = gateway.workers()
    assert workers
    return workers[0]


async def test_before_the_registry_has_been_read_nobody_is_told_that_there_is_no_worker(redis: Redis) -> None:
    known: dict[str, None] | None = None
    gateway = ExternalGateway(ExternalJobStore(redis, SETTINGS), SETTINGS, lambda: known)
    gateway.start()
    assert gateway.workers() is None
    assert isinstance(await gateway.ask(CORAL, request()), ModelUnavailable)
    known = {}
    assert gateway.workers() == ()
    assert isinstance(await gateway.ask(CORAL, request()), ModelNotFound)
    await gateway.stop()


async def test_a_bridge_that_has_not_reached_redis_knows_of_no_queue(
    own_valkey: ValkeyProcess, start_bridge: StartBridge
) -> None:
    async with start_bridge(url=own_valkey.address) as bridge:
        assert bridge.external_queues() is None
        own_valkey.start()
        await eventually(lambda: bridge.external_queues() == {}, within_s=10)


async def is_answered(gateway: ExternalGateway) -> bool:
    return isinstance(await gateway.ask(CORAL, request()), Opaque)


async def test_a_server_that_is_full_refuses_the_job(own_valkey: ValkeyProcess) -> None:
    own_valkey.start()
    client = connect(own_valkey.address, longest_block_s=1)
    await client.config_set("maxmemory", "1000")
    async with gateway_at(own_valkey.address) as gateway:
        answer = await gateway.ask(CORAL, request())
        assert isinstance(answer, Overloaded)
        assert "memory of the queues is full" in answer.message
    await client.aclose()


async def test_a_stop_ends_the_waiting_and_takes_the_job_back(valkey: ValkeyProcess, redis: Redis) -> None:
    async with gateway_at(valkey.address) as gateway:
        asked = asyncio.create_task(gateway.ask(CORAL, request(deadline_s=60)))
        await eventually(lambda: length_is(redis, CORAL, 1))
    assert isinstance(await asked, ModelUnavailable)
    assert await nothing_left(redis)


async def test_queues_of_others_are_known_to_the_bridge_and_left_alone(
    redis: Redis, client: Client, catalogue: FakeCatalogue, start_bridge: StartBridge
) -> None:
    catalogue.shown = (model(MODEL, QUEUE, CORAL, "image_queue_by_hand"),)
    await redis.hset(FAST.registry_key, CORAL, '{"model": "coral worker"}')
    await redis.hset(FAST.registry_key, "no: queue of ours", "{}")
    settings = FAST.model_copy(update={"external_queues": ("image_queue_by_hand",)})
    async with start_bridge(settings=settings) as bridge:
        await eventually(lambda: bridge.queues == {QUEUE})
        assert bridge.external_queues() == {"image_queue_by_hand": None, CORAL: {"model": "coral worker"}}
        assert not await redis.hexists(FAST.registry_key, "image_queue_by_hand")
        assert await client.answer(await client.push((1, 2, 64))) == legacy_answer((1, 2, 64))
        await redis.hdel(FAST.registry_key, CORAL)
        await eventually(lambda: bridge.queues == {QUEUE, CORAL})
        assert bridge.external_queues() == {"image_queue_by_hand": None}


def test_the_catalogue_shows_external_workers_beside_our_models(gateway_workers: tuple[Any, ...]) -> None:
    own = FakeCatalogue(model(MODEL, QUEUE, CORAL))
    records = tuple(record_of(worker) for worker in gateway_workers)
    whole = WholeCatalogue(own, lambda: records)
    assert [(record.name, record.is_external) for record in whole.records()] == [
        (MODEL, False),
        (CORAL, True),
        (SAM, True),
    ]
    assert whole.resolve(CORAL).is_external  # The registry's word counts more than our model's list of queues.
    assert not whole.resolve(QUEUE).is_external
    hidden = WholeCatalogue(FakeCatalogue(model(CORAL, QUEUE)), lambda: records)
    assert not hidden.resolve(CORAL).is_external
    assert [record.name for record in hidden.records()] == [CORAL, SAM]


@pytest.fixture
def gateway_workers(gateway: ExternalGateway) -> tuple[Any, ...]:
    return gateway.workers()


async def test_a_worker_reads_pixels_as_the_old_server_wrote_them(gateway: ExternalGateway, redis: Redis) -> None:
    pixels = np.zeros((2, 3, 3), np.uint8)
    pixels[0, 0] = (200, 100, 50)
    async with worker(redis, CORAL, detections):
        asked = ExternalRequest(Task.PREDICT, Image.from_pixels(pixels), 5.0)
        answer = await gateway.ask(CORAL, asked)
    assert isinstance(answer, Opaque)
    assert json.loads(answer.payload)[0]["bbox"] == [0, 50, 100, 200]
