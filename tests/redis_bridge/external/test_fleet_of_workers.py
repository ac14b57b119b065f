"""Each worker of the legacy fleet behind the gateway: it reads its job as it always did, its answer comes through as
it wrote it. Rewritten from the table of workers; none knows of any other server than the old one."""

import asyncio
import base64
import io
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import PIL.Image
import pytest
from numpy.typing import NDArray
from redis.asyncio import Redis

from deployments.external import ExternalRequest, Task
from deployments.prediction import Opaque
from deployments.request import Image
from redis_bridge.external.gateway import ExternalGateway
from redis_bridge.external.store import ExternalJobStore
from redis_bridge.settings import BridgeSettings
from tests.redis_bridge.legacy_workers import worker

HEIGHT, WIDTH = 720, 1280
RGB = np.random.default_rng(5).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
PROMPTS = [{"x": 3, "y": 4}]


def frame() -> bytes:
    buffer = io.BytesIO()
    PIL.Image.fromarray(RGB).save(buffer, "BMP")
    return buffer.getvalue()


def pixels_of(job: dict[str, Any], dtype: type, *shape: int) -> NDArray[Any]:
    return np.frombuffer(base64.b64decode(job["image"]), dtype).reshape(shape)


def detector(job: dict[str, Any]) -> bytes:
    """W1, W2: float32 (1, H, W, 3), BGR."""
    bgr = pixels_of(job, np.float32, 1, job["height"], job["width"], 3)
    assert np.array_equal(bgr[0, :, :, ::-1], RGB)
    return json.dumps([{"category_id": "Coral", "scores": [0.5], "bbox": [1.0, 2.0, 3.0, 4.0]}]).encode()


def classifier(job: dict[str, Any]) -> bytes:
    """W3: float32 (H, W, 3), reversed to RGB and cast to uint8; scores and nothing else."""
    image = pixels_of(job, np.float32, job["height"], job["width"], 3)[:, :, ::-1].astype(np.uint8)
    assert np.array_equal(image, RGB)
    return json.dumps([{"scores": [0.1, 0.2, 0.3, 0.4]}]).encode()


def fixed_size(job: dict[str, Any]) -> bytes:
    """W4: takes (1, 720, 1280, 3) for granted; numbers as text, x, y, width, height."""
    assert np.array_equal(pixels_of(job, np.float32, 1, 720, 1280, 3)[0, :, :, ::-1], RGB)
    return json.dumps([{"category_id": "fish", "scores": ["0.5"], "bbox": "[1.0, 2.0, 3.0, 4.0]"}]).encode()


def nested_scores(job: dict[str, Any]) -> bytes:
    """W5: like W1, with scores in a list of their own."""
    detector(job)
    return json.dumps([{"category_id": "Coral", "scores": [[0.87]], "bbox": [1, 2, 3, 4]}]).encode()


def segmenter(job: dict[str, Any]) -> bytes:
    """W6, first form: uint8 (1, H, W, 3), RGB, and prompts."""
    assert np.array_equal(pixels_of(job, np.uint8, 1, job["height"], job["width"], 3)[0], RGB)
    assert job["prompts"] == PROMPTS
    return json.dumps([{"box": [{"w": 1, "h": 2}], "score": [0.9], "poly": [[[0, 0], [1, 2]]]}]).encode()


def rocks(job: dict[str, Any]) -> bytes:
    """W7: polygons in parts of the image."""
    detector(job)
    return b"[[[0.25, 0.5], [0.75, 0.5], [0.5, 1.0]]]"


def coral_detector(job: dict[str, Any]) -> bytes:
    """W8: a dict."""
    detector(job)
    return b'{"bboxes": [[1, 2, 3, 4]], "confidences": [0.5]}'


@dataclass(frozen=True)
class FleetWorker:
    queue: str
    answer: Callable[[dict[str, Any]], bytes]
    task: Task = Task.PREDICT
    prompts: Any = None


FLEET = {
    "W1 and W2": FleetWorker("image_queue_yolov5", detector),
    "W3": FleetWorker("image_queue_mixoe", classifier),
    "W4": FleetWorker("image_queue", fixed_size),
    "W5": FleetWorker("image_queue_2022", nested_scores),
    "W6": FleetWorker("image_queue_sam", segmenter, Task.SEGMENT, PROMPTS),
    "W7": FleetWorker("image_queue_rock_mask", rocks),
    "W8": FleetWorker("image_queue_coral_detection", coral_detector),
}


@pytest.mark.parametrize("old", FLEET.values(), ids=FLEET.keys())
async def test_a_worker_of_the_fleet_notices_nothing(redis: Redis, old: FleetWorker) -> None:
    settings = BridgeSettings()
    gateway = ExternalGateway(ExternalJobStore(redis, settings), settings, lambda: {old.queue: None})
    gateway.start()
    async with worker(redis, old.queue, old.answer) as taken:
        asked = ExternalRequest(old.task, Image.from_encoded(frame()), 20.0, old.prompts)
        outcome = await gateway.ask(old.queue, asked)
    await gateway.stop()
    assert outcome == Opaque(old.answer(taken[0]), old.queue)


async def test_the_second_form_of_the_segmenting_worker_finds_the_file_under_its_key(redis: Redis) -> None:
    """W6: the bytes of the file as it was uploaded."""
    settings = BridgeSettings()
    gateway = ExternalGateway(ExternalJobStore(redis, settings), settings, lambda: {"image_queue_sam": None})
    gateway.start()
    files: list[bytes | None] = []

    async def legacy_worker() -> None:
        popped = await redis.blpop(["image_queue_sam"], timeout=10)
        assert popped is not None
        job = json.loads(popped[1])
        files.append(await redis.get(job["img_key"]))
        await redis.set(job["id"], b"\x01\x02" if job.get("embedding") else b"[]")

    for task, expected in ((Task.SEGMENT_FILE, b"[]"), (Task.EMBED, b"\x01\x02")):
        asked = ExternalRequest(task, Image.from_encoded(frame()), 20.0, PROMPTS)
        _, outcome = await asyncio.gather(legacy_worker(), gateway.ask("image_queue_sam", asked))
        assert outcome == Opaque(expected, "image_queue_sam")
    await gateway.stop()
    assert files == [frame(), frame()]
