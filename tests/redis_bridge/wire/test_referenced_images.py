"""Jobs that say where something lies or who shall answer: an image under a key of its own, a model by its name."""

import uuid
from collections.abc import Awaitable, Callable
from typing import Any

import numpy as np
import pytest
from redis.asyncio import Redis

from deployments.catalogue import ModelState
from redis_bridge import keys
from tests.redis_bridge import producers
from tests.redis_bridge.conftest import StartBridge
from tests.redis_bridge.fakes import FAST, MODEL, FakeCatalogue, eventually, model
from tests.redis_bridge.wire.seeing_model import QUEUE, SeeingModel, an_image, found, push, with_profiles

SAM = with_profiles({QUEUE: "segment-anything"})
MODEL_IN_JOB = with_profiles({QUEUE: "model-in-job"})
IMAGE = an_image((299, 299))


@pytest.fixture
def catalogue() -> FakeCatalogue:
    return FakeCatalogue(model(MODEL, QUEUE))


@pytest.fixture
def predict() -> SeeingModel:
    return SeeingModel()


async def stored(redis: Redis, content: bytes) -> str:
    """The key under which a producer has put an image file, without an expiry, as they all do."""
    key = str(uuid.uuid4())
    await redis.set(key, content)
    return key


async def test_an_image_under_a_key_of_its_own_is_fetched_and_then_no_longer_kept_for_ever(
    redis: Redis, predict: SeeingModel, start_bridge: StartBridge
) -> None:
    image = an_image((64, 80))
    image_key = await stored(redis, producers.png(image))
    job_id = await push(redis, producers.segment_anything_2(image_key))
    async with start_bridge(SAM):
        assert (await found(redis, job_id)).startswith(b'[{"box":[{"x":1.5,')
    np.testing.assert_array_equal(predict.seen[0], image)
    assert 0 < await redis.ttl(image_key) <= SAM.result_ttl_s


async def test_an_expiry_that_the_producer_has_set_is_left_as_it_is(redis: Redis, start_bridge: StartBridge) -> None:
    image_key = await stored(redis, producers.png(an_image((64, 80))))
    await redis.expire(image_key, 10 * SAM.result_ttl_s)
    job_id = await push(redis, producers.segment_anything_2(image_key))
    async with start_bridge(SAM):
        await found(redis, job_id)
    assert await redis.ttl(image_key) > SAM.result_ttl_s


async def absent(redis: Redis) -> Any:
    return "no-such-key"


async def a_list(redis: Redis) -> Any:
    await redis.rpush("other_queue", "a job")
    return "other_queue"


async def no_image(redis: Redis) -> Any:
    return await stored(redis, b"[]" * 10)


async def too_large(redis: Redis) -> Any:
    key = str(uuid.uuid4())
    await redis.setrange(key, 64 * 2**20, b"x")
    await redis.expire(key, 60)
    return key


async def of_the_system(redis: Redis) -> Any:
    return keys.BRIDGES


async def a_number(redis: Redis) -> Any:
    return 7


@pytest.mark.parametrize(
    ("make_key", "code", "words"),
    [
        (absent, b"invalid-request", b"img_key names the key 'no-such-key', under which there is nothing"),
        (a_list, b"invalid-request", b"does not hold an image file"),
        (no_image, b"invalid-image", b"the key in img_key must hold a JPEG, PNG"),
        (too_large, b"image-too-large", b"67108865 bytes, the limit is 67108864"),
        (of_the_system, b"invalid-request", b"img_key must not be the name of a queue or of a key of this system"),
        (a_number, b"invalid-request", b"img_key must be text of 1 to 256 characters, got a number"),
    ],
)
async def test_a_key_without_an_image_is_told_in_words(
    make_key: Callable[[Redis], Awaitable[Any]],
    code: bytes,
    words: bytes,
    redis: Redis,
    predict: SeeingModel,
    start_bridge: StartBridge,
) -> None:
    job_id = await push(redis, producers.segment_anything_2(await make_key(redis)))
    async with start_bridge(SAM):
        answer = await found(redis, job_id)
    assert answer.startswith(b'{"error":{"code":"' + code)
    assert words in answer
    assert not predict.seen
    async for key in redis.scan_iter(match="*-*-*-*-*"):
        await redis.expire(key, 60)


async def test_on_a_queue_whose_profile_has_no_image_keys_such_a_job_is_refused(
    redis: Redis, start_bridge: StartBridge
) -> None:
    job_id = await push(redis, producers.segment_anything_2("any"))
    async with start_bridge():
        assert b"image must be base64 text, got None" in await found(redis, job_id)


async def test_a_wish_for_an_embedding_is_refused_and_not_answered_with_boxes(
    redis: Redis, start_bridge: StartBridge
) -> None:
    job_id = await push(redis, {**producers.segment_anything_2("any"), "embedding": True})
    async with start_bridge(SAM):
        assert b"embedding asks for the embedding of the image" in await found(redis, job_id)


async def test_a_job_is_answered_by_the_model_that_it_names(
    redis: Redis, catalogue: FakeCatalogue, predict: SeeingModel, start_bridge: StartBridge
) -> None:
    catalogue.shown = (model(MODEL, QUEUE), model("InceptionV3", "other_queue"))
    predict.is_classifier = True
    nameless = producers.model_in_job(IMAGE)
    del nameless["model_name"]
    ids = [await push(redis, fields) for fields in (producers.model_in_job(IMAGE), nameless)]
    async with start_bridge(MODEL_IN_JOB):
        for job_id in ids:
            assert (await found(redis, job_id)).startswith(b'[{"label":"a",')
    assert sorted(predict.asked) == sorted(["InceptionV3", MODEL])


@pytest.mark.parametrize(
    ("profile", "name", "words"),
    [
        ("model-in-job", "Xception", b"the job names a model that does not exist, 'Xception'"),
        ("model-in-job", 7, b"model_name must be text, got a number"),
        (
            {"preset": "model-in-job", "models": {"ResNet50": MODEL, "InceptionV3": MODEL}},
            "Xception",
            b"model_name must be one of InceptionV3, ResNet50, got 'Xception'",
        ),
    ],
)
async def test_a_model_that_does_not_exist_is_told_at_once_and_holds_up_nobody(
    profile: Any, name: Any, words: bytes, redis: Redis, predict: SeeingModel, start_bridge: StartBridge
) -> None:
    wrong = await push(redis, {**producers.model_in_job(IMAGE), "model_name": name})
    async with start_bridge(with_profiles({QUEUE: profile})):
        assert words in await found(redis, wrong)
    assert not predict.seen


async def test_a_job_for_a_model_that_cannot_answer_now_waits(
    redis: Redis, catalogue: FakeCatalogue, predict: SeeingModel, start_bridge: StartBridge
) -> None:
    starting = model("InceptionV3", "other_queue", state=ModelState.STARTING)
    catalogue.shown = (model(MODEL, QUEUE), starting)
    job_id = await push(redis, producers.model_in_job(IMAGE))
    async with start_bridge(MODEL_IN_JOB):
        await eventually(lambda: is_taken(redis))
        assert not await redis.exists(job_id)
        catalogue.shown = (model(MODEL, QUEUE), model("InceptionV3", "other_queue"))
        await found(redis, job_id)
    assert predict.asked == ["InceptionV3"]
    assert FAST.give_up_after_s > 5, "or the job would have been given up"


async def is_taken(redis: Redis) -> bool:
    """Whether the job has left its queue, and lies in a slot."""
    slots = [key async for key in redis.scan_iter(match=keys.SLOTS_PATTERN)]
    return len(slots) == 1 and not await redis.llen(QUEUE)
