"""What is to be said of jobs, kept in a real Valkey."""

import pytest
from redis.asyncio import Redis

from deployments.errors import InvalidRequest, Overloaded
from deployments.vectors.limits import MAX_JOB_BYTES
from redis_bridge import keys
from redis_bridge.vectors.jobs import JobShelf

PROJECT = "testproject"


async def test_jobs_are_kept_for_a_while_and_not_too_many(redis: Redis) -> None:
    shelf = JobShelf(redis, most=2)
    await shelf.keep(PROJECT, "1", b"pending", 60)
    await shelf.keep(PROJECT, "1", b"done", 60)
    assert await shelf.find(PROJECT, "1") == b"done"
    assert await shelf.find("another", "1") is None
    await shelf.keep(PROJECT, "2", b"", 60)
    with pytest.raises(Overloaded, match="the answers of 2 jobs are kept, which is the limit"):
        await shelf.keep(PROJECT, "3", b"", 60)
    with pytest.raises(InvalidRequest, match=f"has {MAX_JOB_BYTES + 1} bytes, the limit is {MAX_JOB_BYTES}"):
        await shelf.keep(PROJECT, "2", bytes(MAX_JOB_BYTES + 1), 60)
    assert 0 < await redis.ttl(keys.vector_job(PROJECT, "1")) <= 60
    await redis.zadd(keys.VECTOR_JOBS, {keys.vector_job(PROJECT, "1"): 1})  # it has expired long ago
    await shelf.keep(PROJECT, "3", b"", 60)
