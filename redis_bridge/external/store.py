"""Every Redis command on the jobs of external workers: written, awaited, taken back.

    push      note the id, lay down the image file if there is one, RPUSH: one transaction
    answers   MGET of all ids that clients wait for
    finish    the answer, the image file and the note go
    withdraw  the job leaves its queue, if no worker has taken it
    sweep     answers that came after their client had gone are deleted

Workers write their answers without expiry. So each id is noted in keys.EXTERNAL_ASKED with the time from which
its client waits no more; from then on any bridge may delete an answer that appears there.
"""

import time
from collections.abc import Sequence
from typing import Any

from redis.asyncio import Redis

from redis_bridge import keys
from redis_bridge.settings import BridgeSettings

CLOCKS_DIFFER_S = 60.0
"""By how much the clocks of two bridges may differ without one deleting what the other waits for."""


class ExternalJobStore:
    """The jobs of external workers in Redis. Every method may raise what connection.REDIS_ERRORS lists."""

    def __init__(self, redis: Redis, settings: BridgeSettings) -> None:
        self._redis = redis
        self._late_s = settings.result_ttl_s

    async def push(self, queue: str, job_id: str, text: bytes, deadline_s: float) -> None:
        """Puts the job at the end of `queue`."""
        async with self._redis.pipeline(transaction=True) as pipe:
            self._note(pipe, job_id, deadline_s + CLOCKS_DIFFER_S)
            pipe.rpush(queue, text)
            await pipe.execute()

    async def lay_down(self, image_key: str, file: memoryview) -> None:
        """Stores an image file under the key that its job will name; it expires by itself."""
        await self._redis.set(image_key, file, ex=self._late_s)

    async def answers(self, job_ids: Sequence[str]) -> dict[str, bytes]:
        """Those of `job_ids` that are answered."""
        found: list[Any] = await self._redis.mget(job_ids)
        return {job_id: payload for job_id, payload in zip(job_ids, found, strict=True) if payload is not None}

    async def finish(self, job_id: str, image_key: str) -> None:
        """Removes all that is left of a job that has its answer."""
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.delete(job_id, image_key)
            pipe.zrem(keys.EXTERNAL_ASKED, job_id)
            await pipe.execute()

    async def withdraw(self, queue: str, job_id: str, image_key: str, text: bytes) -> bool:
        """Whether the job still waited in `queue` and is out of it now. If not, a worker has it: the image file
        stays for it, and its answer is swept."""
        if await self._redis.lrem(queue, 1, text):  # type: ignore[arg-type]  # typed for text; bytes are sent too
            await self.finish(job_id, image_key)
            return True
        async with self._redis.pipeline(transaction=True) as pipe:
            self._note(pipe, job_id, 0.0)
            await pipe.execute()
        return False

    async def sweep(self) -> int:
        """Deletes late answers; how many there were."""
        now_s = time.time()
        ids = await self._redis.zrangebyscore(keys.EXTERNAL_ASKED, "-inf", now_s)
        if not ids:
            return 0
        async with self._redis.pipeline(transaction=True) as pipe:
            pipe.unlink(*ids)
            pipe.zremrangebyscore(keys.EXTERNAL_ASKED, "-inf", now_s - self._late_s)
            deleted, _ = await pipe.execute()
        return int(deleted)

    def _note(self, pipe: Any, job_id: str, waits_s: float) -> None:
        pipe.zadd(keys.EXTERNAL_ASKED, {job_id: time.time() + waits_s})
        pipe.expire(keys.EXTERNAL_ASKED, 2 * self._late_s + int(waits_s))
