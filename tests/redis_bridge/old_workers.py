"""The three loops by which legacy workers take jobs, rewritten from the table of variants: none knows the bridge.

Each answers `[{"category_id": "old worker", ...}]` with a SET of its own and notes whom it answered.
"""

import asyncio
import json

from redis.asyncio import Redis

BATCH_SIZE = 4
POLL_S = 0.01

OLD_ANSWER = b'[{"category_id": "old worker", "scores": [0.5], "bbox": [1, 2, 3, 4]}]'


class OldWorker:
    """What the three have in common. at_work: set as soon as it has answered its first job."""

    def __init__(self, redis: Redis, queue: str) -> None:
        self.redis = redis
        self.queue = queue
        self.answered: list[str] = []
        self.at_work = asyncio.Event()

    async def answer(self, job: bytes) -> None:
        # No expiry, as none of them gave one: their clients delete the answers.
        job_id = json.loads(job)["id"]
        await self.redis.set(job_id, OLD_ANSWER)
        self.answered.append(job_id)
        self.at_work.set()


class PoppingWorker(OldWorker):
    """W1, W2, W3, W7, W8, W9: one job at a time, popped. A job is lost when it dies over it."""

    async def run(self) -> None:
        while True:
            popped = await self.redis.blpop([self.queue], timeout=0.1)
            if popped is not None:
                await self.answer(popped[1])


class AtomicWorker(OldWorker):
    """B, H: a batch is read and removed in one transaction."""

    async def run(self) -> None:
        while True:
            async with self.redis.pipeline(transaction=True) as pipe:
                pipe.lrange(self.queue, 0, BATCH_SIZE - 1)
                pipe.ltrim(self.queue, BATCH_SIZE, -1)
                jobs, _ = await pipe.execute()
            for job in jobs:
                await self.answer(job)
            await asyncio.sleep(POLL_S)


class TrimmingWorker(OldWorker):
    """A, W4, W5, E, F, I, K: a batch is read, answered, and only then removed, by number."""

    async def take_a_batch(self) -> list[bytes]:
        jobs: list[bytes] = await self.redis.lrange(self.queue, 0, BATCH_SIZE - 1)
        return jobs

    async def finish(self, jobs: list[bytes]) -> None:
        for job in jobs:
            await self.answer(job)
        if jobs:
            await self.redis.ltrim(self.queue, len(jobs), -1)

    async def run(self) -> None:
        while True:
            await self.finish(await self.take_a_batch())
            await asyncio.sleep(POLL_S)
