"""The registry key: our entries come and go with their models, those of others stay, in every encoding."""

import asyncio
import json
from typing import Any

import pytest
from redis.asyncio import Redis

from deployments.catalogue import ModelState
from redis_bridge import keys
from redis_bridge.registry.model_registry import Registry, entry_of
from tests.redis_bridge.conftest import StartBridge
from tests.redis_bridge.fakes import (
    FAST,
    MODEL,
    QUEUE,
    Client,
    FakeCatalogue,
    eventually,
    legacy_answer,
    model,
)

KEY = FAST.registry_key
THEIRS = "image_queue_coral"


async def entry(redis: Redis, queue: str = QUEUE) -> dict[str, Any]:
    raw = await redis.hget(KEY, queue)
    return json.loads(raw) if raw else {}


async def test_the_key_lists_each_queue_with_its_definition_state_and_a_heartbeat(
    redis: Redis, start_bridge: StartBridge, catalogue: FakeCatalogue
) -> None:
    async with start_bridge():
        await eventually(lambda: redis.hexists(KEY, QUEUE))
        first = await entry(redis)
        assert (first["model"], first["state"], first["door"]) == (MODEL, "ready", "redis")
        assert first["definition"]["queues"] == [QUEUE]
        assert "weights" not in first["definition"]
        await eventually(lambda: beats_after(redis, first["heartbeat_s"]))
        catalogue.shown = (model(state=ModelState.UNHEALTHY),)
        await eventually(lambda: has_state(redis, "unhealthy"))
    assert not await redis.exists(KEY)


async def beats_after(redis: Redis, heartbeat_s: float) -> bool:
    return bool((await entry(redis))["heartbeat_s"] > heartbeat_s)


async def has_state(redis: Redis, state: str) -> bool:
    return bool((await entry(redis)).get("state") == state)


@pytest.mark.parametrize("gone", [(), (model(state=ModelState.STOPPING),), (model(MODEL, "other_queue"),)])
async def test_an_entry_goes_with_its_model(
    redis: Redis, start_bridge: StartBridge, catalogue: FakeCatalogue, gone: tuple[Any, ...]
) -> None:
    async with start_bridge():
        await eventually(lambda: redis.hexists(KEY, QUEUE))
        catalogue.shown = gone
        await eventually(lambda: lacks(redis, QUEUE))


async def lacks(redis: Redis, queue: str) -> bool:
    return not await redis.hexists(KEY, queue)


async def write(redis: Redis, kind: str, *names: str) -> None:
    """The registry as somebody else may have made it."""
    if kind == "set":
        await redis.sadd(KEY, *names)
    elif kind == "list":
        await redis.rpush(KEY, *names)
    elif kind == "json":
        await redis.set(KEY, json.dumps({name: {"model": "coral", "extra": [1]} for name in names}))
    else:
        await redis.hset(KEY, mapping=dict.fromkeys(names, "anything"))


async def names_in(redis: Redis, kind: str) -> list[str]:
    """All names in the registry, read as its maker reads it."""
    if kind == "set":
        raw = await redis.smembers(KEY)
    elif kind == "list":
        raw = await redis.lrange(KEY, 0, -1)
    elif kind == "json":
        return sorted(json.loads(await redis.get(KEY)))
    else:
        raw = await redis.hkeys(KEY)
    return sorted(name.decode() for name in raw)


KINDS = ["hash", "set", "list", "json"]


@pytest.mark.parametrize("kind", KINDS)
async def test_the_encoding_that_is_there_is_kept_with_the_entries_of_others(
    redis: Redis, client: Client, start_bridge: StartBridge, catalogue: FakeCatalogue, kind: str
) -> None:
    await write(redis, kind, THEIRS)
    catalogue.shown = (model(MODEL, QUEUE, "image_queue_second"),)
    async with start_bridge():
        await eventually(lambda: are_listed(redis, kind, "image_queue_second", QUEUE))
        assert await names_in(redis, kind) == sorted(["image_queue_second", QUEUE, THEIRS])
        catalogue.shown = (model(),)
        await eventually(lambda: is_listed_exactly(redis, kind, QUEUE, THEIRS))
        await client.answer(await client.push())
    assert await names_in(redis, kind) == [THEIRS]
    assert not await redis.exists(keys.REGISTERED)
    if kind == "json":
        assert json.loads(await redis.get(KEY)) == {THEIRS: {"model": "coral", "extra": [1]}}


async def are_listed(redis: Redis, kind: str, *names: str) -> bool:
    return set(names) <= set(await names_in(redis, kind))


async def is_listed_exactly(redis: Redis, kind: str, *names: str) -> bool:
    return await names_in(redis, kind) == sorted(names)


@pytest.mark.parametrize("kind", KINDS)
async def test_a_queue_that_somebody_else_registered_is_left_to_them(
    redis: Redis, client: Client, start_bridge: StartBridge, catalogue: FakeCatalogue, kind: str
) -> None:
    await write(redis, kind, THEIRS)
    catalogue.shown = (model(), model("ours-too", THEIRS))
    theirs = Client(redis, THEIRS)
    await theirs.push()
    async with start_bridge() as bridge:
        assert await client.answer(await client.push((1, 2, 3))) == legacy_answer((1, 2, 3))
        assert bridge.queues == {QUEUE}
    assert await redis.llen(THEIRS) == 1


async def test_a_queue_that_somebody_takes_from_us_is_no_longer_consumed_and_comes_back(
    redis: Redis, client: Client, start_bridge: StartBridge
) -> None:
    async with start_bridge() as bridge:
        await client.answer(await client.push())
        await redis.hset(KEY, QUEUE, json.dumps({"model": "legacy worker"}))
        await eventually(lambda: not bridge.queues)
        job_id = await client.push((1, 2, 3))
        assert (await entry(redis))["model"] == "legacy worker"
        await redis.hdel(KEY, QUEUE)
        assert await client.answer(job_id) == legacy_answer((1, 2, 3))


async def test_entries_of_a_dead_bridge_are_swept_and_those_of_a_living_one_are_not(redis: Redis) -> None:
    living = {"alive": True}

    async def is_alive(bridge: str) -> bool:
        return living.get(bridge, False)

    ours = Registry(redis, KEY, "ours", is_alive)
    for bridge in ("alive", "dead"):
        await Registry(redis, KEY, bridge, is_alive).refresh({f"other_queue_{bridge}": entry_of("q", model())})
    assert await ours.refresh({QUEUE: entry_of(QUEUE, model())}) == {}
    assert await names_in(redis, "hash") == sorted([QUEUE, "other_queue_alive"])


async def test_bridges_that_write_at_the_same_time_lose_no_entry(redis: Redis) -> None:
    async def is_alive(bridge: str) -> bool:
        return True

    await write(redis, "json", THEIRS)
    registries = [Registry(redis, KEY, f"bridge-{number}", is_alive) for number in range(4)]
    await asyncio.gather(
        *(
            registry.refresh({f"other_queue_{number}": entry_of("q", model())})
            for number, registry in enumerate(registries)
        )
    )
    assert await names_in(redis, "json") == sorted([THEIRS, *(f"other_queue_{n}" for n in range(4))])


@pytest.mark.parametrize("value", ["no json", "[1, 2]", "7"])
async def test_a_key_that_is_no_registry_is_left_alone_and_jobs_are_served(
    redis: Redis, client: Client, start_bridge: StartBridge, value: str
) -> None:
    await redis.set(KEY, value)
    async with start_bridge():
        await client.answer(await client.push())
    assert await redis.get(KEY) == value.encode()


async def test_a_stream_under_the_registry_key_is_left_alone(
    redis: Redis, client: Client, start_bridge: StartBridge
) -> None:
    await redis.xadd(KEY, {"a": "b"})
    async with start_bridge():
        await client.answer(await client.push())
    assert await redis.xlen(KEY) == 1


async def test_the_id_of_a_job_cannot_overwrite_the_registry_or_a_queue(
    redis: Redis, client: Client, start_bridge: StartBridge
) -> None:
    await write(redis, "hash", THEIRS)
    await redis.rpush("other_queue_unknown", "a job of somebody else")
    async with start_bridge():
        await eventually(lambda: redis.hexists(KEY, QUEUE))
        for job_id in (KEY, QUEUE, THEIRS, "other_queue_unknown", keys.BRIDGES):
            await client.push(id=job_id)
        await eventually(lambda: letters(redis, 5))
        assert await redis.hexists(KEY, THEIRS)
    assert await redis.lrange("other_queue_unknown", 0, -1) == [b"a job of somebody else"]


async def letters(redis: Redis, count: int) -> bool:
    return await redis.llen(keys.DEAD_LETTERS) == count
