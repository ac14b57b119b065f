"""Vectors along three axes, and the nearest of those that are kept."""

import numpy as np
from numpy.typing import NDArray

from deployments.vectors import LabelledVectors, Neighbour, Source
from redis_bridge.vectors.keeper import VectorKeeper

PROJECT = "testproject"
SOURCE = Source("vit", "1", 3)
AXES = np.eye(3, dtype=np.float32)
ATOLLA, KELP = ("Atolla", "a1"), ("kelp: giant", "k 1")


def labelled(*names: tuple[str, str], values: NDArray[np.float32] = AXES) -> LabelledVectors:
    return LabelledVectors(names, values[: len(names)])


async def nearest(keeper: VectorKeeper, *query: float, most: int = 1) -> list[Neighbour]:
    [found] = await keeper.search(PROJECT, SOURCE, np.array([query], np.float32), most)
    return list(found)
