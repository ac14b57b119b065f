"""Vectors kept in memory, as those in Redis behave for the door."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from deployments.errors import InvalidRequest, ServingError
from deployments.vectors import LabelledVectors, Neighbour, Project, Source
from deployments.vectors.limits import MAX_BATCH


@dataclass
class FakeVectors:
    """fails_with: what each call raises, where it is set."""

    kept: dict[str, tuple[Source, dict[tuple[str, str], NDArray[np.float32]]]] = field(default_factory=dict)
    jobs: dict[tuple[str, str], bytes] = field(default_factory=dict)
    fails_with: ServingError | None = None

    async def projects(self) -> Sequence[Project]:
        self._fail()
        return [Project(name, source, len(rows)) for name, (source, rows) in sorted(self.kept.items())]

    async def project(self, name: str) -> Project | None:
        return next((one for one in await self.projects() if one.name == name), None)

    async def names(self, project: str, most: int) -> Sequence[tuple[str, str]]:
        self._fail()
        return list(self._rows(project))[:most]

    async def add(self, project: str, source: Source, vectors: LabelledVectors) -> Project:
        self._fail()
        known, rows = self.kept.setdefault(project, (source, {}))
        if known != source:
            raise InvalidRequest(f"the vectors of project {project!r} were made by model {known.model}")
        rows.update(zip(vectors.names, vectors.values, strict=True))
        return Project(project, source, len(rows))

    async def remove(self, project: str, label: str) -> int:
        self._fail()
        rows = self._rows(project)
        gone = [name for name in rows if not label or name[0] == label]
        for name in gone:
            del rows[name]
        if not rows:
            self.kept.pop(project, None)
        return len(gone)

    async def search(
        self, project: str, source: Source, queries: NDArray[np.float32], most: int
    ) -> Sequence[Sequence[Neighbour]]:
        self._fail()
        assert len(queries) <= MAX_BATCH
        if project in self.kept and self.kept[project][0] != source:
            raise InvalidRequest(f"the vectors of project {project!r} were made by another model")
        return [self._nearest(self._rows(project), query)[:most] for query in queries]

    async def keep_job(self, project: str, job: str, payload: bytes, kept_s: float) -> None:
        self._fail()
        self.jobs[project, job] = payload

    async def job(self, project: str, job: str) -> bytes | None:
        self._fail()
        return self.jobs.get((project, job))

    def _rows(self, project: str) -> dict[tuple[str, str], NDArray[np.float32]]:
        return self.kept[project][1] if project in self.kept else {}

    def _nearest(
        self, rows: dict[tuple[str, str], NDArray[np.float32]], query: NDArray[np.float32]
    ) -> list[Neighbour]:
        found = [
            (float(1 - row @ query / np.linalg.norm(row) / np.linalg.norm(query)), *name)
            for name, row in rows.items()
        ]
        return [Neighbour(label, name, distance) for distance, label, name in sorted(found)]

    def _fail(self) -> None:
        if self.fails_with is not None:
            raise self.fails_with
