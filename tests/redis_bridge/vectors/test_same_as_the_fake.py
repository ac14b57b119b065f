"""The vectors in memory, with which the HTTP door is tested, behave as those in Redis."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from deployments.errors import ServingError
from deployments.vectors import Neighbour, Vectors
from redis_bridge.vectors.keeper import VectorKeeper
from tests.redis_bridge.vectors.kept_vectors import ATOLLA, AXES, KELP, PROJECT, SOURCE, labelled
from tests.serve_app.fake_vectors import FakeVectors

OTHER_SOURCE = type(SOURCE)("vit", "2", 3)
QUERIES = np.array([[3, 1, 0], [0, -2, 1]], np.float32)


async def all_that_happens(vectors: Vectors) -> list[Any]:
    """What each call of a life of a project answers, or the type of its error."""
    calls: Sequence[tuple[str, tuple[Any, ...]]] = [
        ("projects", ()),
        ("project", (PROJECT,)),
        ("names", (PROJECT, 100)),
        ("search", (PROJECT, SOURCE, QUERIES, 2)),
        ("add", (PROJECT, SOURCE, labelled(ATOLLA, KELP))),
        ("add", (PROJECT, SOURCE, labelled(("Atolla", "a2"), values=-AXES[:1]))),
        ("add", (PROJECT, SOURCE, labelled(KELP, values=AXES[2:]))),
        ("add", (PROJECT, OTHER_SOURCE, labelled(ATOLLA))),
        ("project", (PROJECT,)),
        ("search", (PROJECT, SOURCE, QUERIES, 2)),
        ("search", (PROJECT, SOURCE, QUERIES, 100)),
        ("search", (PROJECT, OTHER_SOURCE, QUERIES, 2)),
        ("job", (PROJECT, "1")),
        ("keep_job", (PROJECT, "1", b"pending", 60.0)),
        ("keep_job", (PROJECT, "1", b"done", 60.0)),
        ("job", (PROJECT, "1")),
        ("job", ("another", "1")),
        ("remove", (PROJECT, "Atolla")),
        ("names", (PROJECT, 100)),
        ("remove", (PROJECT, "")),
        ("remove", (PROJECT, "")),
        ("projects", ()),
    ]
    return [await what_comes_of(vectors, *call) for call in calls]


async def what_comes_of(vectors: Vectors, asked: str, arguments: tuple[Any, ...]) -> Any:
    try:
        answer = await getattr(vectors, asked)(*arguments)
    except ServingError as error:
        return type(error)
    return [[rounded(one) for one in each] for each in answer] if asked == "search" else answer


def rounded(found: Neighbour) -> tuple[str, str, float]:
    return found.label, found.id, round(found.distance, 5)


async def test_the_same_comes_of_the_same_calls(keeper: VectorKeeper) -> None:
    assert await all_that_happens(keeper) == await all_that_happens(FakeVectors())
