"""A request goes to a worker as the legacy fleet runs them, its answer comes back, and nothing is left."""

import asyncio
import json

import numpy as np
import pytest
from redis.asyncio import Redis

from deployments.errors import InternalError
from deployments.external import ExternalRequest, Task
from deployments.prediction import Opaque
from deployments.request import Image
from redis_bridge.external.gateway import ExternalGateway
from redis_bridge.external.store import ExternalJobStore
from redis_bridge.metrics import Metric
from tests.redis_bridge.external.gateways import CORAL, SAM, SETTINGS, nothing_left, png, request
from tests.redis_bridge.fakes import eventually
from tests.redis_bridge.legacy_workers import detections, segments, worker


async def test_the_workers_text_is_handed_through_and_nothing_is_left(gateway: ExternalGateway, redis: Redis) -> None:
    async with worker(redis, CORAL, detections) as taken:
        answer = await gateway.ask(CORAL, request())
    assert answer == Opaque(detections(taken[0]), CORAL)
    assert json.loads(answer.payload)[0]["bbox"] == [0, 30, 20, 10]  # BGR
    assert list(taken[0]) == ["id", "image", "height", "width"]
    await eventually(lambda: nothing_left(redis))


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


async def test_a_worker_that_writes_no_json_is_told_so(gateway: ExternalGateway, redis: Redis) -> None:
    async with worker(redis, CORAL, lambda job: b"Traceback (most recent call last)"):
        answer = await gateway.ask(CORAL, request())
    assert isinstance(answer, InternalError)
    assert "not JSON: 'Traceback" in answer.message
    await eventually(lambda: nothing_left(redis))


async def test_a_worker_reads_pixels_as_the_old_server_wrote_them(gateway: ExternalGateway, redis: Redis) -> None:
    pixels = np.zeros((2, 3, 3), np.uint8)
    pixels[0, 0] = (200, 100, 50)
    async with worker(redis, CORAL, detections):
        asked = ExternalRequest(Task.PREDICT, Image.from_pixels(pixels), 5.0)
        answer = await gateway.ask(CORAL, asked)
    assert isinstance(answer, Opaque)
    assert json.loads(answer.payload)[0]["bbox"] == [0, 50, 100, 200]
