"""Embeddings that are kept by project, and which of them are nearest: what a door asks of whoever keeps them.

The embeddings are made by models like any others. `Vectors` keeps them with their labels, searches them by cosine
distance, and keeps the answers of jobs until their clients fetch them, whichever door they ask.

    limits.py   how much is kept, and what names may be like
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Source:
    """What made the vectors of a project: only those of one model at one revision can be compared.

    dimension: numbers of each vector.
    """

    model: str
    revision: str
    dimension: int


@dataclass(frozen=True, slots=True)
class Project:
    """Vectors under a name. count: how many there are."""

    name: str
    source: Source
    count: int


@dataclass(frozen=True, slots=True)
class LabelledVectors:
    """Vectors to be kept. names: label and id of each; no two are the same. values: float32 (n, d), finite, none of
    them of length 0."""

    names: Sequence[tuple[str, str]]
    values: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A vector that was found. distance: 1 minus the cosine of the angle, 0 (the same direction) to 2."""

    label: str
    id: str
    distance: float


class Vectors(Protocol):
    """Whoever keeps vectors. All of it may raise ServingError: ModelUnavailable where nobody keeps any now."""

    async def projects(self) -> Sequence[Project]:
        """All of them, sorted by name."""
        ...

    async def project(self, name: str) -> Project | None:
        """None where nothing is kept under this name."""
        ...

    async def names(self, project: str, most: int) -> Sequence[tuple[str, str]]:
        """Label and id of up to `most` vectors, whichever come first."""
        ...

    async def add(self, project: str, source: Source, vectors: LabelledVectors) -> Project:
        """Keeps the vectors, in place of those with the same label and id. Raises InvalidRequest over a limit, and
        where the project's vectors have another source."""
        ...

    async def remove(self, project: str, label: str) -> int:
        """Forgets the vectors with this label, or with '' the whole project; how many there were."""
        ...

    async def search(
        self, project: str, source: Source, queries: NDArray[np.float32], most: int
    ) -> Sequence[Sequence[Neighbour]]:
        """For each of the queries, float32 (q, d), up to `most` vectors, the nearest first. Raises InvalidRequest
        where the project's vectors have another source."""
        ...

    async def keep_job(self, project: str, job: str, payload: bytes, kept_s: float) -> None:
        """Keeps what is to be said of a job, in place of what was. Raises Overloaded while too many are kept."""
        ...

    async def job(self, project: str, job: str) -> bytes | None:
        """What is kept of a job; None where there is none, or it has expired."""
        ...
