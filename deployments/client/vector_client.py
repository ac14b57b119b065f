"""Vectors that lie behind the application of the bridge, reached by Serve handle."""

import asyncio
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deployments.client.gateway import AWAY, Gateway
from deployments.client.replica_calls import serving_error
from deployments.errors import DeadlineExceeded, ModelUnavailable, ServingError
from deployments.vectors import LabelledVectors, Neighbour, Project, Source

ANSWERED_WITHIN_S = 30.0
"""The bridge ends each call sooner; this is in case it hangs. The first search reads a project from Redis."""


class VectorClient:
    """`deployments.vectors.Vectors` of the bridge."""

    def __init__(self, application: str) -> None:
        self._gateway = Gateway(application, "with a Redis to keep vectors in")

    async def projects(self) -> Sequence[Project]:  # noqa: D102
        found: Sequence[Project] = await self._ask("projects")
        return found

    async def project(self, name: str) -> Project | None:  # noqa: D102
        found: Project | None = await self._ask("project", name)
        return found

    async def names(self, project: str, most: int) -> Sequence[tuple[str, str]]:  # noqa: D102
        found: Sequence[tuple[str, str]] = await self._ask("names", project, most)
        return found

    async def add(self, project: str, source: Source, vectors: LabelledVectors) -> Project:  # noqa: D102
        added: Project = await self._ask("add", project, source, vectors)
        return added

    async def remove(self, project: str, label: str) -> int:  # noqa: D102
        removed: int = await self._ask("remove", project, label)
        return removed

    async def search(  # noqa: D102
        self, project: str, source: Source, queries: NDArray[np.float32], most: int
    ) -> Sequence[Sequence[Neighbour]]:
        found: Sequence[Sequence[Neighbour]] = await self._ask("search", project, source, queries, most)
        return found

    async def keep_job(self, project: str, job: str, payload: bytes, kept_s: float) -> None:  # noqa: D102
        await self._ask("keep_job", project, job, payload, kept_s)

    async def job(self, project: str, job: str) -> bytes | None:  # noqa: D102
        kept: bytes | None = await self._ask("job", project, job)
        return kept

    async def _ask(self, asked: str, *arguments: Any) -> Any:
        try:
            response = (await self._gateway.handle()).vectors.remote(asked, *arguments)
            try:
                async with asyncio.timeout(ANSWERED_WITHIN_S):
                    answer = await response
            except (TimeoutError, asyncio.CancelledError):
                response.cancel()
                raise
        except TimeoutError:
            raise DeadlineExceeded(f"the bridge has not answered within {ANSWERED_WITHIN_S:g} s") from None
        except ServingError:
            raise
        except AWAY:
            raise ModelUnavailable("the way to the vectors was lost; try again") from None
        except Exception as error:
            raise serving_error(error, []) from error
        if isinstance(answer, ServingError):
            raise answer
        return answer
