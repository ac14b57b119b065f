"""What is to be said of a job, kept in Redis until its client has asked, and not for long."""

import time
from typing import Any

from redis.asyncio import Redis

from deployments.errors import InvalidRequest, Overloaded
from deployments.vectors.limits import MAX_JOB_BYTES, MAX_JOBS
from redis_bridge import keys

# SET comes first, since a full Redis refuses only what comes before a script has written.
_KEEP = """
local kept = redis.call('ZCOUNT', KEYS[1], ARGV[1], '+inf')
if not redis.call('ZSCORE', KEYS[1], KEYS[2]) and kept >= tonumber(ARGV[4]) then return 0 end
redis.call('SET', KEYS[2], ARGV[3], 'EX', ARGV[2])
redis.call('ZADD', KEYS[1], tonumber(ARGV[1]) + tonumber(ARGV[2]), KEYS[2])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', '(' .. ARGV[1])
redis.call('EXPIRE', KEYS[1], 2 * tonumber(ARGV[2]))
return 1
"""


class JobShelf:
    """Every method may raise what connection.REDIS_ERRORS lists."""

    def __init__(self, redis: Redis, most: int = MAX_JOBS) -> None:
        self._redis = redis
        self._most = most
        self._keep = redis.register_script(_KEEP)

    async def keep(self, project: str, job: str, payload: bytes, kept_s: float) -> None:
        """In place of what was kept of this job. Raises Overloaded while too many are kept, and InvalidRequest for a
        payload over the limit."""
        if len(payload) > MAX_JOB_BYTES:
            raise InvalidRequest(
                f"the answer has {len(payload)} bytes, the limit is {MAX_JOB_BYTES}; send fewer images, or "
                "ask for fewer neighbours"
            )
        key = keys.vector_job(project, job)
        arguments: list[Any] = [int(time.time()), max(1, round(kept_s)), payload, self._most]
        if not await self._keep(keys=[keys.VECTOR_JOBS, key], args=arguments):
            raise Overloaded(f"the answers of {self._most} jobs are kept, which is the limit; try again later")

    async def find(self, project: str, job: str) -> bytes | None:
        """None where there is none, or it has expired."""
        found: Any = await self._redis.get(keys.vector_job(project, job))
        return None if found is None else bytes(found)
