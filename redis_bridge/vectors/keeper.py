"""Keeps vectors for the HTTP door: in Redis, with copies in memory that are searched."""

import asyncio
import contextlib
import logging
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from deployments.errors import (
    DeadlineExceeded,
    InternalError,
    InvalidRequest,
    ModelUnavailable,
    Overloaded,
    ServingError,
)
from deployments.logs import OWN_LOGGER
from deployments.vectors import LabelledVectors, Neighbour, Project, Source
from deployments.vectors.limits import MAX_BATCH, MAX_DIMENSION, MAX_NEIGHBOURS
from redis_bridge.client.connection import REDIS_ERRORS, is_full
from redis_bridge.vectors.jobs import JobShelf
from redis_bridge.vectors.store import VectorStore, other_source, values_of
from redis_bridge.vectors.table import VectorTable

logger = logging.getLogger(OWN_LOGGER)

ASKED = frozenset({"projects", "project", "names", "add", "remove", "search", "keep_job", "job"})
"""The methods of `deployments.vectors.Vectors`."""

SEARCHED_WITHIN_S = 20.0
"""Reading a project into memory, the first time, and looking at all of it."""

MAX_COPIES_BYTES = 640 * 2**20
"""Of all projects in memory together; the one that was asked for longest ago goes first."""

MAX_CALLS = 64
"""At once; each may bring half a megabyte of vectors."""


@dataclass(frozen=True, slots=True)
class _Copy:
    """A project as it was at a version."""

    version: str
    source: Source
    table: VectorTable


class VectorKeeper:
    """`deployments.vectors.Vectors` on Redis. Several may share one: each notices what the others change."""

    def __init__(self, redis: Redis, max_copies_bytes: int = MAX_COPIES_BYTES) -> None:
        self._store = VectorStore(redis)
        self._jobs = JobShelf(redis)
        self._max_copies_bytes = max_copies_bytes
        self._copies: OrderedDict[str, _Copy] = OrderedDict()
        # One after the other: a search takes all of numpy's threads, and a copy is not for two of them.
        self._turn = asyncio.Lock()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="vectors")
        self._calls: set[asyncio.Task[Any]] = set()

    async def answer(self, asked: str, *arguments: Any) -> Any | ServingError:
        """What one of the methods in ASKED answers; an error is a value. Raises only when it is cancelled."""
        if asked not in ASKED:
            return InternalError(f"vectors cannot be asked for {asked[:50]!r}")
        if len(self._calls) >= MAX_CALLS:
            return Overloaded(f"{MAX_CALLS} calls for vectors are under way, which is the limit; try again")
        # A cancellation must never land inside a Redis command, whose client may swallow it.
        call = asyncio.get_running_loop().create_task(self._answer(asked, *arguments))
        self._calls.add(call)
        call.add_done_callback(self._calls.discard)
        return await asyncio.shield(call)

    async def stop(self) -> None:
        """Waits for the calls that are under way."""
        if self._calls:
            await asyncio.wait(self._calls)
        self._thread.shutdown(wait=False)

    async def projects(self) -> Sequence[Project]:
        """All of them, sorted by name."""
        return await self._store.projects()

    async def project(self, name: str) -> Project | None:
        """None where nothing is kept under this name."""
        return await self._store.project(name)

    async def names(self, project: str, most: int) -> Sequence[tuple[str, str]]:
        """Label and id of up to `most` vectors."""
        found: dict[tuple[str, str], None] = {}
        async for names, _ in self._store.scan(project):
            found |= dict.fromkeys(names)
            if len(found) >= most:
                break
        return list(found)[:most]

    async def add(self, project: str, source: Source, vectors: LabelledVectors) -> Project:
        """Keeps the vectors, in place of those with the same names. Raises InvalidRequest."""
        _check(vectors.values, source)
        async with self._in_turn():
            before = await self._store.state(project)
            version, count = await self._store.add(project, source, vectors)
            copy = self._copies.pop(project, None)
            # Only where nobody else has changed it since the copy was made.
            if copy is not None and before == (copy.source, copy.version) and int(version) == int(copy.version) + 1:
                copy.table.put(vectors.names, vectors.values)
                self._remember(project, _Copy(version, source, copy.table))
        return Project(project, source, count)

    async def remove(self, project: str, label: str) -> int:
        """Forgets the vectors with this label, or with '' the whole project; how many there were."""
        async with self._in_turn():
            self._copies.pop(project, None)
            return await (self._store.remove_label(project, label) if label else self._store.remove(project))

    async def search(
        self, project: str, source: Source, queries: NDArray[np.float32], most: int
    ) -> Sequence[Sequence[Neighbour]]:
        """For each query up to `most` vectors, the nearest first. Raises InvalidRequest and DeadlineExceeded."""
        _check(queries, source)
        if not 1 <= most <= MAX_NEIGHBOURS:
            raise InvalidRequest(f"between 1 and {MAX_NEIGHBOURS} neighbours can be found, got {most}")
        ends_at_s = time.monotonic() + SEARCHED_WITHIN_S
        async with self._in_turn():
            copy = await self._copy_of(project, ends_at_s)
            if copy is None:
                return [[] for _ in queries]
            if copy.source != source:
                raise InvalidRequest(other_source(project, copy.source, source))
            # The thread looks at the clock by itself: it must have ended before anybody else has the table.
            return await asyncio.get_running_loop().run_in_executor(
                self._thread, copy.table.nearest, queries, most, ends_at_s
            )

    async def keep_job(self, project: str, job: str, payload: bytes, kept_s: float) -> None:
        """Keeps what is to be said of a job. Raises Overloaded and InvalidRequest."""
        await self._jobs.keep(project, job, payload, kept_s)

    async def job(self, project: str, job: str) -> bytes | None:
        """What is kept of a job."""
        return await self._jobs.find(project, job)

    async def _answer(self, asked: str, *arguments: Any) -> Any | ServingError:
        try:
            return await getattr(self, asked)(*arguments)
        except ServingError as error:
            return error
        except TimeoutError:
            return DeadlineExceeded(f"the vectors were not searched within {SEARCHED_WITHIN_S:g} s; try again")
        except REDIS_ERRORS as error:
            if is_full(error):
                return Overloaded("Redis has reached its limit of memory, and keeps no more")
            logger.warning("vectors could not be asked for %s: %s", asked, error)
            if isinstance(error, ResponseError):
                return ModelUnavailable("Redis refuses what vectors need of it; the log of the bridge says why")
            return ModelUnavailable("Redis, where the vectors lie, does not answer; try again")
        except Exception:
            logger.exception("vectors could not be asked for %s", asked)
            return InternalError("the bridge failed unexpectedly")

    @contextlib.asynccontextmanager
    async def _in_turn(self) -> AsyncIterator[None]:
        async with asyncio.timeout(SEARCHED_WITHIN_S):
            await self._turn.acquire()
        try:
            yield
        finally:
            self._turn.release()

    async def _copy_of(self, project: str, ends_at_s: float) -> _Copy | None:
        """The project as it is now; None where there is none."""
        state = await self._store.state(project)
        copy = self._copies.pop(project, None)
        if state is None:
            return None
        source, version = state
        if copy is None or (copy.source, copy.version) != state:
            # The old copy goes before the new one is made.
            del copy
            copy = _Copy(version, source, await self._read(project, source, ends_at_s))
        self._remember(project, copy)
        return copy

    async def _read(self, project: str, source: Source, ends_at_s: float) -> VectorTable:
        found = await self._store.project(project)
        table = VectorTable(source.dimension, found.count if found else 0)
        async for names, values in self._store.scan(project):
            try:
                table.put(names, values_of(values, source.dimension))
            except ValueError:
                raise InternalError(f"project {project!r} holds vectors that are none; see the log") from None
            if time.monotonic() > ends_at_s:
                raise TimeoutError
        return table

    def _remember(self, project: str, copy: _Copy) -> None:
        """As the last one that was asked for."""
        self._copies[project] = copy
        while len(self._copies) > 1 and self._held_bytes() > self._max_copies_bytes:
            self._copies.popitem(last=False)

    def _held_bytes(self) -> int:
        return sum(copy.table.size_bytes for copy in self._copies.values())


def _check(values: NDArray[np.float32], source: Source) -> None:
    """Raises InvalidRequest for what cannot be kept or compared."""
    if not 1 <= len(values) <= MAX_BATCH:
        raise InvalidRequest(f"between 1 and {MAX_BATCH} vectors go at once, got {len(values)}")
    if not 1 <= source.dimension <= MAX_DIMENSION:
        raise InvalidRequest(f"a vector may have 1 to {MAX_DIMENSION} numbers, got {source.dimension}")
    if values.dtype != np.float32 or values.shape != (len(values), source.dimension):
        raise InvalidRequest(
            f"vectors must be float32 of {source.dimension} numbers, got {values.dtype} {values.shape}"
        )
    bad = np.flatnonzero(~np.isfinite(values).all(axis=1) | ~values.any(axis=1))
    if bad.size:
        raise InvalidRequest(f"vector {bad[0] + 1} of {len(values)} is all zeros, or holds NaN or infinity")
