"""The vectors in Redis, and the scripts that change them.

A project is a field in each of two hashes, of its source and of its version, and a hash of its own with the vectors:
label and id -> float32 bytes. The version changes with the vectors and is never used twice, so that whoever has a
copy in memory knows whether it is still the same.
"""

from collections.abc import AsyncIterator, Sequence
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray
from redis.asyncio import Redis

from deployments.errors import InvalidRequest
from deployments.vectors import LabelledVectors, Project, Source
from deployments.vectors.limits import MAX_PROJECTS, most_vectors
from redis_bridge import keys

SCANNED_AT_ONCE = 500
"""Vectors of one answer of Redis: 1.5 MB with 768 numbers each."""

_SEPARATOR = "\0"
"""Between label and id. Neither has it: they are printable."""

_NEW_VERSION = """
local version = redis.call('HINCRBY', KEYS[2], '', 1)
"""

_ADD = (
    """
local known = redis.call('HGET', KEYS[1], ARGV[1])
if known and known ~= ARGV[2] then return {'source', known, 0} end
if not known and redis.call('HLEN', KEYS[1]) >= tonumber(ARGV[3]) then return {'projects', '', 0} end
local new = 0
for i = 5, #ARGV, 2 do new = new + 1 - redis.call('HEXISTS', KEYS[3], ARGV[i]) end
local count = redis.call('HLEN', KEYS[3])
if count + new > tonumber(ARGV[4]) then return {'vectors', '', count} end
for i = 5, #ARGV, 2 do redis.call('HSET', KEYS[3], ARGV[i], ARGV[i + 1]) end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[2])
"""
    + _NEW_VERSION
    + """
redis.call('HSET', KEYS[2], ARGV[1], version)
return {'added', version, count + new}
"""
)

_REMOVE = (
    """
local removed = redis.call('HLEN', KEYS[3])
if #ARGV == 1 then
  redis.call('UNLINK', KEYS[3])
else
  removed = redis.call('HDEL', KEYS[3], unpack(ARGV, 2))
end
"""
    + _NEW_VERSION
    + """
if redis.call('EXISTS', KEYS[3]) == 0 then
  redis.call('HDEL', KEYS[1], ARGV[1])
  redis.call('HDEL', KEYS[2], ARGV[1])
else
  redis.call('HSET', KEYS[2], ARGV[1], version)
end
return removed
"""
)


class VectorStore:
    """Every method may raise what connection.REDIS_ERRORS lists."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        # A full Redis refuses to add, and lets remove.
        self._add = redis.register_script(_ADD)
        self._remove = redis.register_script(_REMOVE)

    async def projects(self) -> list[Project]:
        """All of them, sorted by name."""
        sources: dict[Any, Any] = await self._redis.hgetall(keys.VECTOR_PROJECTS)
        names = sorted(name.decode() for name in sources)
        async with self._redis.pipeline(transaction=False) as pipe:
            for name in names:
                pipe.hlen(keys.vectors(name))
            counts: list[int] = await pipe.execute()
        found = zip(names, counts, strict=True)
        return [Project(name, _source(sources[name.encode()]), count) for name, count in found]

    async def project(self, name: str) -> Project | None:
        """None where nothing is kept under this name."""
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.hget(keys.VECTOR_PROJECTS, name)
            pipe.hlen(keys.vectors(name))
            source, count = await pipe.execute()
        return None if source is None else Project(name, _source(source), count)

    async def state(self, project: str) -> tuple[Source, str] | None:
        """Source and version; None where nothing is kept under this name."""
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.hget(keys.VECTOR_PROJECTS, project)
            pipe.hget(keys.VECTOR_VERSIONS, project)
            source, version = await pipe.execute()
        return None if source is None or version is None else (_source(source), version.decode())

    async def add(self, project: str, source: Source, vectors: LabelledVectors) -> tuple[str, int]:
        """The version after it, and how many vectors there are then. Raises InvalidRequest over a limit and for
        another source."""
        most = most_vectors(source.dimension)
        arguments: list[Any] = [project, _written(source), MAX_PROJECTS, most]
        for (label, name), value in zip(vectors.names, vectors.values, strict=True):
            arguments += [label + _SEPARATOR + name, value.tobytes()]
        said, detail, count = await self._add(keys=_keys_of(project), args=arguments)
        match said:
            case b"source":
                raise InvalidRequest(other_source(project, _source(detail), source))
            case b"projects":
                raise InvalidRequest(f"there are {MAX_PROJECTS} projects already, which is the limit")
            case b"vectors":
                raise InvalidRequest(
                    f"project {project!r} has {count} vectors of {source.dimension} numbers, and with "
                    f"{len(vectors.names)} more it would be over the limit {most}"
                )
        return str(detail), count

    async def remove(self, project: str) -> int:
        """Forgets the project; how many vectors it had."""
        removed: int = await self._remove(keys=_keys_of(project), args=[project])
        return removed

    async def remove_label(self, project: str, label: str) -> int:
        """Forgets the vectors with this label; how many there were."""
        removed = 0
        async for names, _ in self.scan(project):
            fields = [one + _SEPARATOR + name for one, name in names if one == label]
            if fields:
                removed += await self._remove(keys=_keys_of(project), args=[project, *fields])
        return removed

    async def scan(self, project: str) -> AsyncIterator[tuple[list[tuple[str, str]], list[bytes]]]:
        """Names and vectors, SCANNED_AT_ONCE or more at a time. One may come twice, and what is added meanwhile
        may be among them."""
        cursor: int = 0
        found: Any
        while True:
            cursor, found = await self._redis.hscan(keys.vectors(project), cursor, count=SCANNED_AT_ONCE)
            names = [_name(field) for field in found]
            yield names, list(found.values())
            if cursor == 0:
                return


def values_of(found: Sequence[bytes], dimension: int) -> NDArray[np.float32]:
    """float32 (n, dimension). Raises ValueError for vectors with another number of numbers."""
    return np.frombuffer(b"".join(found), np.float32).reshape(len(found), dimension)


def other_source(project: str, known: Source, other: Source) -> str:
    """What is said where vectors cannot be compared."""
    return (
        f"the vectors of project {project!r} were made by model {known.model}, revision {known.revision} "
        f"({known.dimension} numbers), and this one by {other.model}, revision {other.revision} "
        f"({other.dimension} numbers); remove the project and add its images again"
    )


def _keys_of(project: str) -> list[str]:
    return [keys.VECTOR_PROJECTS, keys.VECTOR_VERSIONS, keys.vectors(project)]


def _written(source: Source) -> bytes:
    return orjson.dumps([source.model, source.revision, source.dimension])


def _source(text: bytes) -> Source:
    return Source(*orjson.loads(text))


def _name(field: bytes) -> tuple[str, str]:
    label, _, name = field.decode().partition(_SEPARATOR)
    return label, name
