"""A model that remembers what it saw, and a client of any wire, for the tests of whole variants."""

import json
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from redis.asyncio import Redis

from deployments.images import to_pixels
from deployments.prediction import ClassScores, Detections, Outcome, Prediction
from deployments.request import Request
from redis_bridge.settings import BridgeSettings
from tests.redis_bridge import producers
from tests.redis_bridge.fakes import FAST, eventually
from tests.redis_bridge.producers import Rgb

QUEUE = "image_queue"

BOX = [[1.5, 2, 30, 40.25]]


class SeeingModel:
    """Answers one detection, or the scores of four classes, and remembers what it was asked and saw."""

    def __init__(self, is_classifier: bool = False) -> None:
        self.is_classifier = is_classifier
        self.asked: list[str] = []
        self.seen: list[Rgb] = []

    async def __call__(self, model: str, requests: Sequence[Request]) -> list[Outcome]:
        outcomes: list[Outcome] = []
        for request in requests:
            pixels = to_pixels(request.image)
            self.asked.append(model)
            self.seen.append(pixels)
            outcomes.append(Prediction(self._result(), (pixels.shape[0], pixels.shape[1]), model, "1"))
        return outcomes

    def _result(self) -> Detections | ClassScores:
        if self.is_classifier:
            return ClassScores(np.array([0.5, 0.25, 0.125, 0.125], np.float32), ("a", "b", "c", "d"))
        return Detections(
            np.array(BOX, np.float32), np.array([0.75], np.float32), np.array([3], np.int32), ("Sea star",)
        )


def with_profiles(profiles: dict[str, Any]) -> BridgeSettings:
    """The settings of the tests with these profiles, read as from YAML."""
    return BridgeSettings.model_validate({**FAST.model_dump(), "profiles": profiles})


def an_image(size_px: tuple[int, int], is_grey: bool = False) -> Rgb:
    image = np.random.default_rng(2).integers(0, 256, (*size_px, 3), dtype=np.uint8)
    return np.repeat(image[:, :, :1], 3, axis=2) if is_grey else image


async def push(
    redis: Redis,
    fields: producers.Fields,
    queue: str = QUEUE,
    write: Callable[[producers.Fields], str | bytes] = json.dumps,
) -> str:
    await redis.rpush(queue, write(fields))
    return str(fields["id"])


async def found(redis: Redis, key: str) -> bytes:
    """What the client finds under `key`, which it then deletes, as all of them do but one."""
    await eventually(lambda: redis.exists(key))
    answer: bytes = await redis.get(key)
    await redis.delete(key)
    return answer
