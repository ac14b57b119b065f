"""Every variant of the legacy wire, end to end: a producer from the table pushes its job on a real Valkey, the model
sees the very pixels, and the client finds its answer where it looks for it, in the bytes of its own shape.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import msgpack
import numpy as np
import pytest
from redis.asyncio import Redis

from deployments.images import to_pixels
from deployments.prediction import ClassScores, Detections, Outcome, Prediction
from deployments.request import Request
from redis_bridge.settings import BridgeSettings
from tests.redis_bridge import producers
from tests.redis_bridge.conftest import StartBridge
from tests.redis_bridge.fakes import FAST, MODEL, FakeCatalogue, eventually, model
from tests.redis_bridge.producers import Picture, Producer

QUEUE = "image_queue"

BOX = [[1.5, 2, 30, 40.25]]


class SeeingModel:
    """Answers one detection, or the scores of four classes, and remembers what it was asked and saw."""

    def __init__(self, is_classifier: bool = False) -> None:
        self.is_classifier = is_classifier
        self.asked: list[str] = []
        self.seen: list[Picture] = []

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


@dataclass(frozen=True)
class Variant:
    """One line of the table."""

    profile: Any
    produce: Producer

    answer: bytes
    """What the client finds."""

    size_px: tuple[int, int] = (64, 80)
    is_classifier: bool = False
    is_grey: bool = False
    answer_key: str = "{id}"

    write: Callable[[producers.Fields], str | bytes] = json.dumps
    """Makes the payload of the job's fields."""

    as_seen: Callable[[Picture], Picture] = np.asarray
    """The producer's picture as the model sees it."""


DETECTION = b'[{"category_id":"Sea star","scores":[0.75],"bbox":[1.5,2.0,30.0,40.25]}]'
TOP_CLASSES = (
    b'[{"label":"a","probability":0.5},{"label":"b","probability":0.25},'
    b'{"label":"c","probability":0.125},{"label":"d","probability":0.125}]'
)
SEGMENT = b'[{"box":[{"x":1.5,"y":2.0,"w":28.5,"h":38.25}],"score":[0.75],"poly":[[[2,2],[30,2],[30,40],[2,40]]]}]'
OUTLINE = b"[[[0.01875,0.03125],[0.375,0.03125],[0.375,0.62890625],[0.01875,0.62890625]]]"

VARIANTS = {
    "A classic": Variant("pyimagesearch", producers.classic, TOP_CLASSES, (224, 224), is_classifier=True),
    "B shanesoh": Variant("shanesoh", producers.classic, TOP_CLASSES, (224, 224), is_classifier=True),
    "B other size": Variant(
        {"preset": "shanesoh", "fixed_shape_px": [64, 80]}, producers.classic, TOP_CLASSES, is_classifier=True
    ),
    "C 2020, W4": Variant(
        "cvisionai-2020",
        producers.cvisionai_2020,
        b'[{"category_id":"Sea star","scores":["0.75"],"bbox":"[1.5, 2.0, 28.5, 38.25]"}]',
        (720, 1280),
    ),
    "C 2021, older detectron": Variant(
        {"preset": "cvisionai-2020", "answer": "detections-box-as-text"},
        producers.cvisionai_2020,
        b'[{"category_id":"Sea star","scores":[0.75],"bbox":"[1.5, 2.0, 30.0, 40.25]"}]',
        (720, 1280),
    ),
    "C 2022, W5": Variant(
        "cvisionai-2022",
        producers.cvisionai,
        b'[{"category_id":"Sea star","scores":[[0.75]],"bbox":[1.5,2.0,30.0,40.25]}]',
    ),
    "D now, W1, W2": Variant("cvisionai", producers.cvisionai, DETECTION),
    "E shape in job": Variant("shape-in-job", producers.shape_in_job, DETECTION, is_grey=True),
    "F h and w": Variant(
        "h-w-keys", producers.h_w_keys, b'[{"xywh":[[1.5,2.0,28.5,38.25]],"score":0.75,"class":3.0}]'
    ),
    "G uint8": Variant("uint8", producers.uint8_true_size, DETECTION),
    "H encoded file": Variant("encoded-file", producers.encoded_file, DETECTION),
    "msgpack frame": Variant(
        "msgpack",
        producers.msgpack_frame,
        msgpack.packb([{"category_id": "Sea star", "scores": [0.75], "bbox": [1.5, 2.0, 30.0, 40.25]}]),
        write=msgpack.packb,
        as_seen=producers.after_jpeg,
    ),
    "msgpack pixels": Variant(
        {"encoding": "msgpack"},
        lambda rgb: {"image": rgb.tobytes(), "shape": list(rgb.shape), "id": producers.new_id()},
        msgpack.packb([{"category_id": "Sea star", "scores": [0.75], "bbox": [1.5, 2.0, 30.0, 40.25]}]),
        write=msgpack.packb,
    ),
    "msgpack with base64": Variant(
        {"preset": "segment-anything", "encoding": "msgpack"},
        producers.segment_anything,
        msgpack.packb(json.loads(SEGMENT)),
        write=msgpack.packb,
    ),
    "JSON frame": Variant(
        {"image_field": "frame"},
        lambda rgb: {"frame": producers.text_of(rgb), "shape": list(rgb.shape), "id": producers.new_id()},
        DETECTION,
    ),
    "I model in job": Variant(
        {"preset": "model-in-job", "models": {"InceptionV3": MODEL}},
        producers.model_in_job,
        TOP_CLASSES,
        (299, 299),
        is_classifier=True,
    ),
    "J async": Variant("async", producers.async_style, DETECTION),
    "K pipeline": Variant(
        "pipeline",
        producers.uint8_true_size,
        b'[{"label":"Sea star","confidence":0.75,"box":[1.5,2.0,30.0,40.25]}]',
        answer_key="{id}-object",
    ),
    "W3 mixoe": Variant("mixoe", producers.cvisionai, b'[{"scores":[0.5,0.25,0.125,0.125]}]', is_classifier=True),
    "W6 segment anything": Variant("segment-anything", producers.segment_anything, SEGMENT),
    "W7 rock mask": Variant("rock-mask", producers.cvisionai, OUTLINE),
    "W7 rock mask, uint8": Variant(
        {"preset": "rock-mask", "channel_order": "bgr"},
        lambda rgb: producers.rock_mask_2023(rgb[:, :, ::-1]),
        OUTLINE,
    ),
    "W8 coral": Variant("coral", producers.cvisionai, b'{"bboxes":[[1.5,2.0,30.0,40.25]],"confidences":[0.75]}'),
    "W9 dextr": Variant("dextr", producers.dextr, b"[[2,2],[30,2],[30,40],[2,40]]"),
    "W9 dextr, older": Variant("dextr", producers.dextr_older, b"[[2,2],[30,2],[30,40],[2,40]]"),
}

SAYS_ENOUGH = ["D now, W1, W2", "G uint8", "H encoded file", "J async", "W6 segment anything", "W9 dextr"]
"""Variants whose jobs say what they are: their pictures are read on any queue without a profile."""


def with_profiles(profiles: dict[str, Any]) -> BridgeSettings:
    """The settings of the tests with these profiles, read as from YAML."""
    return BridgeSettings.model_validate({**FAST.model_dump(), "profiles": profiles})


def a_picture(size_px: tuple[int, int], is_grey: bool = False) -> Picture:
    picture = np.random.default_rng(2).integers(0, 256, (*size_px, 3), dtype=np.uint8)
    return np.repeat(picture[:, :, :1], 3, axis=2) if is_grey else picture


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


@pytest.fixture
def catalogue() -> FakeCatalogue:
    return FakeCatalogue(model(MODEL, QUEUE))


@pytest.fixture
def predict() -> SeeingModel:
    return SeeingModel()


@pytest.mark.parametrize("name", list(VARIANTS))
async def test_a_producer_of_this_variant_gets_its_answer_in_its_own_shape(
    name: str, redis: Redis, predict: SeeingModel, start_bridge: StartBridge
) -> None:
    variant = VARIANTS[name]
    predict.is_classifier = variant.is_classifier
    settings = with_profiles({QUEUE: variant.profile})
    picture = a_picture(variant.size_px, variant.is_grey)
    job_id = await push(redis, variant.produce(picture), write=variant.write)
    async with start_bridge(settings):
        assert await found(redis, variant.answer_key.replace("{id}", job_id)) == variant.answer
    np.testing.assert_array_equal(predict.seen[0], variant.as_seen(picture))
    assert len(predict.seen) == 1


@pytest.mark.parametrize("name", SAYS_ENOUGH)
async def test_a_job_that_says_what_it_is_needs_no_profile(
    name: str, redis: Redis, predict: SeeingModel, start_bridge: StartBridge
) -> None:
    picture = a_picture((64, 80))
    job_id = await push(redis, VARIANTS[name].produce(picture))
    async with start_bridge():
        assert await found(redis, job_id) == DETECTION
    np.testing.assert_array_equal(predict.seen[0], picture)


async def test_one_model_serves_queues_of_different_formats_at_once(
    redis: Redis, catalogue: FakeCatalogue, predict: SeeingModel, start_bridge: StartBridge
) -> None:
    queues = {
        "image_queue_d": "D now, W1, W2",
        "image_queue_f": "F h and w",
        "image_queue_k": "K pipeline",
        "image_queue_m": "msgpack frame",
    }
    catalogue.shown = (model(MODEL, *queues),)
    profiles = {queue: VARIANTS[name].profile for queue, name in queues.items()}
    settings = with_profiles(profiles)
    async with start_bridge(settings):
        for queue, name in queues.items():
            variant = VARIANTS[name]
            job_id = await push(redis, variant.produce(a_picture((64, 80))), queue, variant.write)
            assert await found(redis, variant.answer_key.replace("{id}", job_id)) == variant.answer
    assert predict.asked == [MODEL] * 4


async def test_an_answer_that_is_asked_for_later_is_kept_for_a_week(redis: Redis, start_bridge: StartBridge) -> None:
    settings = with_profiles({QUEUE: "async"})
    job_id = await push(redis, producers.async_style(a_picture((64, 80))))
    async with start_bridge(settings):
        await eventually(lambda: redis.exists(job_id))
    assert 6 * 24 * 3600 < await redis.ttl(job_id) <= 7 * 24 * 3600
