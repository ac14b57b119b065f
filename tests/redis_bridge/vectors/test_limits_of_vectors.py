"""What is not kept, and not compared: each refusal names the limit and the value."""

import asyncio

import numpy as np
import pytest
from numpy.typing import NDArray

from deployments.errors import DeadlineExceeded, InvalidRequest, Overloaded
from deployments.vectors import LabelledVectors, Project, Source
from deployments.vectors.limits import most_vectors
from redis_bridge.vectors import keeper as keeper_module
from redis_bridge.vectors import store
from redis_bridge.vectors.keeper import VectorKeeper
from tests.redis_bridge.vectors.kept_vectors import ATOLLA, AXES, KELP, PROJECT, SOURCE, labelled, nearest


async def test_vectors_of_another_model_or_revision_are_neither_kept_nor_compared(keeper: VectorKeeper) -> None:
    await keeper.add(PROJECT, SOURCE, labelled(ATOLLA))
    for source in (Source("vit", "2", 3), Source("other", "1", 3), Source("vit", "1", 2)):
        values = np.ones((1, source.dimension), np.float32)
        with pytest.raises(InvalidRequest, match=r"made by model vit, revision 1 \(3 numbers\), and this one by"):
            await keeper.add(PROJECT, source, LabelledVectors([KELP], values))
        with pytest.raises(InvalidRequest, match="made by model vit, revision 1"):
            await keeper.search(PROJECT, source, values, 1)
    assert await keeper.project(PROJECT) == Project(PROJECT, SOURCE, 1)


NAN, INFINITY, ZERO = [1, float("nan"), 0], [1, float("inf"), 0], [0, 0, 0]


@pytest.mark.parametrize(
    ("values", "source", "says"),
    [
        (np.array([[1, 0, 0], NAN], np.float32), SOURCE, "vector 2 of 2 is all zeros, or holds NaN or infinity"),
        (np.array([INFINITY], np.float32), SOURCE, "vector 1 of 1"),
        (np.array([ZERO], np.float32), SOURCE, "vector 1 of 1"),
        (np.ones((1, 2), np.float32), SOURCE, "must be float32 of 3 numbers, got float32"),
        (np.ones((1, 3), np.float64), SOURCE, "must be float32 of 3 numbers, got float64"),
        (np.ones((3,), np.float32), SOURCE, "must be float32 of 3 numbers"),
        (np.ones((0, 3), np.float32), SOURCE, "between 1 and 32 vectors go at once, got 0"),
        (np.ones((33, 3), np.float32), SOURCE, "between 1 and 32 vectors go at once, got 33"),
        (np.ones((1, 4097), np.float32), Source("vit", "1", 4097), "may have 1 to 4096 numbers, got 4097"),
        (np.ones((1, 0), np.float32), Source("vit", "1", 0), "may have 1 to 4096 numbers, got 0"),
    ],
)
async def test_what_is_no_vector_is_refused_with_the_limit(
    keeper: VectorKeeper, values: NDArray[np.float32], source: Source, says: str
) -> None:
    names = [("label", str(number)) for number in range(len(values))]
    with pytest.raises(InvalidRequest, match=says):
        await keeper.add(PROJECT, source, LabelledVectors(names, values))
    with pytest.raises(InvalidRequest, match=says):
        await keeper.search(PROJECT, source, values, 1)
    assert await keeper.projects() == []


@pytest.mark.parametrize("most", [0, -1, 101])
async def test_no_more_and_no_fewer_neighbours_than_the_limits(keeper: VectorKeeper, most: int) -> None:
    with pytest.raises(InvalidRequest, match=f"between 1 and 100 neighbours can be found, got {most}"):
        await nearest(keeper, 1, 0, 0, most=most)


async def test_a_full_project_takes_what_replaces_and_nothing_more(
    keeper: VectorKeeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "most_vectors", lambda dimension: dimension - 1)
    await keeper.add(PROJECT, SOURCE, labelled(ATOLLA, KELP))
    with pytest.raises(InvalidRequest, match=r"has 2 vectors of 3 numbers, and with 1 more .* the limit 2"):
        await keeper.add(PROJECT, SOURCE, labelled(("new", "n")))
    assert (await keeper.add(PROJECT, SOURCE, labelled(KELP))).count == 2


def test_a_project_has_fewer_of_the_longer_vectors() -> None:
    assert most_vectors(768) == 100_000
    assert most_vectors(4096) == 320 * 2**20 // 16384


async def test_no_more_projects_than_the_limit(keeper: VectorKeeper, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "MAX_PROJECTS", 1)
    await keeper.add(PROJECT, SOURCE, labelled(ATOLLA))
    with pytest.raises(InvalidRequest, match="there are 1 projects already, which is the limit"):
        await keeper.add("another", SOURCE, labelled(ATOLLA))


async def test_a_search_waits_its_turn_and_not_for_ever(
    keeper: VectorKeeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeper_module, "SEARCHED_WITHIN_S", 0.05)
    async with keeper._turn:
        assert isinstance(await keeper.answer("search", PROJECT, SOURCE, AXES, 1), DeadlineExceeded)
    assert await keeper.answer("search", PROJECT, SOURCE, AXES, 1) == [[], [], []]


async def test_no_more_calls_at_once_than_the_limit(keeper: VectorKeeper, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper_module, "MAX_CALLS", 1)
    async with keeper._turn:
        waiting = asyncio.ensure_future(keeper.answer("search", PROJECT, SOURCE, AXES, 1))
        await asyncio.sleep(0)
        assert isinstance(await keeper.answer("projects"), Overloaded)
    assert await waiting == [[], [], []]
