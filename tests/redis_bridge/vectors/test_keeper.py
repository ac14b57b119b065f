"""Vectors kept in a real Valkey, by one bridge and by two."""

import numpy as np
import pytest
from redis.asyncio import Redis

from deployments.errors import InternalError, InvalidRequest, ModelUnavailable, Overloaded
from deployments.vectors import LabelledVectors, Neighbour, Project, Source
from redis_bridge import keys
from redis_bridge.client.connection import connect
from redis_bridge.server.valkey_process import ValkeyProcess
from redis_bridge.vectors.keeper import ASKED, VectorKeeper
from tests.redis_bridge.vectors.kept_vectors import ATOLLA, AXES, KELP, PROJECT, SOURCE, labelled, nearest


async def test_what_is_added_is_found_and_listed_and_forgotten(keeper: VectorKeeper) -> None:
    assert await keeper.projects() == []
    assert await keeper.project(PROJECT) is None
    assert await nearest(keeper, 1, 0, 0) == []
    assert await keeper.add(PROJECT, SOURCE, labelled(ATOLLA, KELP)) == Project(PROJECT, SOURCE, 2)
    assert await nearest(keeper, 9, 1, 0, most=5) == [
        Neighbour(*ATOLLA, pytest.approx(1 - 9 / 82**0.5, abs=1e-6)),
        Neighbour(*KELP, pytest.approx(1 - 1 / 82**0.5, abs=1e-6)),
    ]
    assert await keeper.projects() == [await keeper.project(PROJECT)] == [Project(PROJECT, SOURCE, 2)]
    assert sorted(await keeper.names(PROJECT, 100)) == [ATOLLA, KELP]
    assert len(await keeper.names(PROJECT, 1)) == 1
    assert await keeper.remove(PROJECT, "kelp") == 0
    assert await keeper.remove(PROJECT, "kelp: giant") == 1
    assert [one.label for one in await nearest(keeper, 0, 1, 0, most=5)] == ["Atolla"]
    assert await keeper.remove(PROJECT, "") == 1
    assert await keeper.remove(PROJECT, "") == 0
    assert (await keeper.projects(), await nearest(keeper, 1, 0, 0)) == ([], [])


async def test_a_project_whose_last_label_goes_is_gone(keeper: VectorKeeper) -> None:
    await keeper.add(PROJECT, SOURCE, labelled(ATOLLA))
    assert await keeper.remove(PROJECT, "Atolla") == 1
    assert await keeper.project(PROJECT) is None
    other_source = Source("another", "2", 2)
    await keeper.add(PROJECT, other_source, labelled(ATOLLA, values=np.ones((1, 2), np.float32)))
    assert await keeper.project(PROJECT) == Project(PROJECT, other_source, 1)


async def test_each_bridge_sees_what_the_other_changes(keeper: VectorKeeper, other: VectorKeeper) -> None:
    await keeper.add(PROJECT, SOURCE, labelled(ATOLLA))
    assert [one.label for one in await nearest(other, 1, 0, 0)] == ["Atolla"]
    await keeper.add(PROJECT, SOURCE, labelled(KELP))  # in the place where Atolla is, too
    assert [one.label for one in await nearest(other, 1, 0, 0, most=9)] == ["Atolla", "kelp: giant"]
    await other.add(PROJECT, SOURCE, labelled(("Atolla", "a2")))
    await keeper.add(PROJECT, SOURCE, labelled(("Atolla", "a3")))
    for one in (keeper, other):
        assert len(await nearest(one, 1, 0, 0, most=9)) == 4
    await other.remove(PROJECT, "")
    assert await nearest(keeper, 1, 0, 0) == []
    # The number of a version is never used again, also not by a project of the same name.
    await other.add(PROJECT, SOURCE, labelled(("new", "n")))
    assert [one.label for one in await nearest(keeper, 1, 0, 0, most=9)] == ["new"]


async def test_an_addition_is_searched_without_reading_the_project_again(keeper: VectorKeeper, redis: Redis) -> None:
    await keeper.add(PROJECT, SOURCE, labelled(ATOLLA))
    await nearest(keeper, 1, 0, 0)
    scans = await scans_of(redis)
    await keeper.add(PROJECT, SOURCE, labelled(KELP, values=AXES[1:]))
    assert [one.label for one in await nearest(keeper, 0, 1, 0)] == ["kelp: giant"]
    assert await scans_of(redis) == scans


async def scans_of(redis: Redis) -> int:
    """How often the server was asked for HSCAN."""
    counted = await redis.info("commandstats")
    calls: int = counted.get("cmdstat_hscan", {}).get("calls", 0)
    return calls


async def test_thousands_are_read_and_the_right_one_is_found(redis: Redis, keeper: VectorKeeper) -> None:
    rows = np.random.default_rng(1).normal(size=(2000, 64)).astype(np.float32)
    source = Source("vit", "1", 64)
    for first in range(0, len(rows), 32):
        part = rows[first : first + 32]
        names = [(f"class {first % 5}", str(first + number)) for number in range(len(part))]
        await keeper.add(PROJECT, source, LabelledVectors(names, part))
    fresh = VectorKeeper(redis)
    found = await fresh.search(PROJECT, source, rows[640:672], 1)
    assert [one.id for [one] in found] == [str(number) for number in range(640, 672)]
    await fresh.stop()


async def test_of_many_projects_the_last_asked_for_stay_in_memory(redis: Redis) -> None:
    small = VectorKeeper(redis, max_copies_bytes=1)
    other_project = "testproject"  # the one that the fixture knows as ours
    await small.add(other_project, SOURCE, labelled(ATOLLA))
    await redis.hset(keys.VECTOR_PROJECTS, "empty", b'["vit","1",3]')
    await redis.hset(keys.VECTOR_VERSIONS, "empty", "1")
    assert [one.label for one in await nearest(small, 1, 0, 0)] == ["Atolla"]
    assert list(await small.search("empty", SOURCE, AXES[:1], 1)) == [[]]
    assert list(small._copies) == ["empty"]
    assert [one.label for one in await nearest(small, 1, 0, 0)] == ["Atolla"]
    assert list(small._copies) == [other_project]
    await small.stop()


async def test_an_error_is_a_value_and_only_the_methods_of_vectors_are_asked(keeper: VectorKeeper) -> None:
    assert await keeper.answer("project", PROJECT) is None
    refused = await keeper.answer("search", PROJECT, SOURCE, AXES, 0)
    assert isinstance(refused, InvalidRequest)
    for asked in ("stop", "_read", "__class__", "answer"):
        assert isinstance(await keeper.answer(asked), InternalError)
    assert isinstance(await keeper.answer("search"), InternalError)
    assert all(hasattr(keeper, asked) for asked in ASKED)


async def test_what_somebody_else_wrote_under_our_keys_breaks_nothing(keeper: VectorKeeper, redis: Redis) -> None:
    await keeper.add(PROJECT, SOURCE, labelled(ATOLLA))
    await redis.hset(keys.vectors(PROJECT), "broken", b"123")
    await redis.hincrby(keys.VECTOR_VERSIONS, PROJECT, 1)
    assert isinstance(await keeper.answer("search", PROJECT, SOURCE, AXES, 1), InternalError)
    await redis.delete(keys.vectors(PROJECT))
    await redis.rpush(keys.vectors(PROJECT), "a list")
    for asked in (("search", PROJECT, SOURCE, AXES, 1), ("add", PROJECT, SOURCE, labelled(KELP)), ("projects",)):
        refused = await keeper.answer(*asked)
        assert isinstance(refused, ModelUnavailable)
        assert refused.message.startswith("Redis refuses")


async def test_a_full_redis_keeps_no_more_and_lets_forget(keeper: VectorKeeper, redis: Redis) -> None:
    await keeper.add(PROJECT, SOURCE, labelled(ATOLLA))
    await redis.config_set("maxmemory", 1)
    try:
        assert isinstance(await keeper.answer("add", PROJECT, SOURCE, labelled(KELP)), Overloaded)
        assert isinstance(await keeper.answer("keep_job", PROJECT, "1", b"x", 60.0), Overloaded)
        assert [one.label for one in await nearest(keeper, 1, 0, 0)] == ["Atolla"]
    finally:
        await redis.config_set("maxmemory", 0)


async def test_a_redis_that_is_away_is_told_and_comes_back(own_valkey: ValkeyProcess) -> None:
    client = connect(own_valkey.address, longest_block_s=0.1)
    kept = VectorKeeper(client)
    assert isinstance(await kept.answer("projects"), ModelUnavailable)
    own_valkey.start()
    assert await kept.answer("projects") == []
    await kept.stop()
    await client.aclose()
