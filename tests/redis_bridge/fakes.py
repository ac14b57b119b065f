"""Product-shaped fakes of what the core offers the Redis door, and what a legacy client does."""

import asyncio
import base64
import json
import time
import uuid
from collections.abc import Awaitable, Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from redis.asyncio import Redis

from deployments.catalogue import ModelRecord, ModelState
from deployments.definition import ModelDefinition, ModelKnobs
from deployments.errors import ModelNotFound
from deployments.prediction import Detections, Outcome, Prediction
from deployments.request import Request
from redis_bridge.settings import BridgeSettings

QUEUE = "image_queue_yolov5"
MODEL = "benthic-demo"

FAST = BridgeSettings(
    heartbeat_s=0.1,
    longest_block_s=0.1,
    takeover_after_s=1.2,
    drain_s=5,
    give_up_after_s=30,
    job_deadline_s=5,
    decode_threads=1,
)
"""Settings under which everything that waits for time waits for tenths of a second."""


def model(name: str = MODEL, *queues: str, state: ModelState = ModelState.READY) -> ModelRecord:
    """A model of the running system that answers for `queues`."""
    definition = ModelDefinition(family="fixed-answer", queues=queues or (QUEUE,), weights="/secret/path.h5")
    return ModelRecord(
        name, definition, ModelKnobs(), state, "" if state in (ModelState.READY, ModelState.ASLEEP) else "why"
    )


class FakeCatalogue:
    """A catalogue whose models the test changes."""

    def __init__(self, *records: ModelRecord) -> None:
        self.shown = records

    def records(self) -> tuple[ModelRecord, ...]:
        return self.shown

    def resolve(self, name: str) -> ModelRecord:
        for record in self.shown:
            if record.answers_for(name):
                return record
        raise ModelNotFound(f"no model and no queue is called {name!r}")


def prediction_for(pixels: NDArray[np.uint8]) -> Prediction:
    """One detection that tells the picture's first RGB pixel: its box is 0, 0, red, green, its score blue."""
    red, green, blue = (float(value) for value in pixels[0, 0])
    detections = Detections(
        boxes=np.array([[0, 0, red, green]], np.float32),
        scores=np.array([blue / 256], np.float32),
        class_ids=np.array([0], np.int32),
        labels=("Sea star",),
    )
    return Prediction(detections, (1000, 1000), MODEL, "1")


class FakeModel:
    """Answers `prediction_for` each picture, unless `errors` has something to give out first.

    While `gate` is closed every call waits. `calls` counts calls, `asked` the pictures in them, and `waiting` the
    pictures in calls that have not returned.
    """

    def __init__(self) -> None:
        self.errors: list[Outcome | Exception] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.calls = 0
        self.asked = 0
        self.waiting = 0
        self.most_waiting = 0
        self.requests: list[Request] = []

    async def __call__(self, model: str, requests: Sequence[Request]) -> list[Outcome]:
        self.calls += 1
        self.asked += len(requests)
        self.waiting += len(requests)
        self.most_waiting = max(self.most_waiting, self.waiting)
        self.requests.extend(requests)
        try:
            await self.gate.wait()
        finally:
            self.waiting -= len(requests)
        return [self._outcome(request) for request in requests]

    def _outcome(self, request: Request) -> Outcome:
        if self.errors:
            error = self.errors.pop(0)
            if isinstance(error, Exception) and not hasattr(error, "code"):
                raise error
            return error
        pixels = request.image.pixels
        return prediction_for(np.zeros((1, 1, 3), np.uint8) if pixels is None else pixels)


async def eventually(condition: Callable[[], Awaitable[object] | object], within_s: float = 5.0) -> None:
    """Waits until `condition` holds; fails with its source line when it does not within `within_s`."""
    deadline_s = time.monotonic() + within_s
    while True:
        value = condition()
        if isinstance(value, Awaitable):
            value = await value
        if value:
            return
        assert time.monotonic() < deadline_s, f"did not come true within {within_s:g} s"
        await asyncio.sleep(0.005)


def is_dead(bridge: object) -> bool:
    """Whether the bridge says that it cannot go on."""
    try:
        bridge.check()  # type: ignore[attr-defined]
    except RuntimeError:
        return True
    return False


class Client:
    """A legacy client: pushes a job, polls its key, deletes it."""

    def __init__(self, redis: Redis, queue: str = QUEUE) -> None:
        self.redis = redis
        self.queue = queue

    async def push(self, rgb: tuple[int, int, int] = (10, 20, 128), side_px: int = 4, **fields: object) -> str:
        """Queues a picture of one colour; `fields` replace those of the job."""
        job_id = str(uuid.uuid4())
        bgr = np.full((1, side_px, side_px, 3), rgb[::-1], np.float32)
        image = base64.b64encode(bgr.tobytes()).decode()
        job = {"id": job_id, "image": image, "height": side_px, "width": side_px, **fields}
        await self.redis.rpush(self.queue, json.dumps(job))
        return str(job["id"])

    async def answer(self, job_id: str, within_s: float = 5.0) -> object:
        """Polls as the old web server did, but not for ever."""
        await eventually(lambda: self.redis.exists(job_id), within_s)
        raw = await self.redis.get(job_id)
        await self.redis.delete(job_id)
        return json.loads(raw)


def legacy_answer(rgb: tuple[int, int, int]) -> object:
    """What the legacy client reads for a picture of this colour."""
    red, green, blue = rgb
    return [{"category_id": "Sea star", "scores": [blue / 256], "bbox": [0.0, 0.0, float(red), float(green)]}]
