"""Legacy workers, rewritten from the table of variants: the three loops by which they take jobs, and for external
workers one with an answer of the test's choice. None knows the bridge.

Each of the three answers `[{"category_id": "legacy worker", ...}]` with a SET of its own and notes whom it answered.
"""

import asyncio
import base64
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import numpy as np
from redis.asyncio import Redis

BATCH_SIZE = 4
POLL_S = 0.01

LEGACY_ANSWER = b'[{"category_id": "legacy worker", "scores": [0.5], "bbox": [1, 2, 3, 4]}]'

Answer = Callable[[dict[str, Any]], bytes]


class LegacyWorker:
    """What the three have in common. at_work: set as soon as it has answered its first job."""

    def __init__(self, redis: Redis, queue: str) -> None:
        self.redis = redis
        self.queue = queue
        self.answered: list[str] = []
        self.at_work = asyncio.Event()

    async def answer(self, job: bytes) -> None:
        # No expiry, as none of them gave one: their clients delete the answers.
        job_id = json.loads(job)["id"]
        await self.redis.set(job_id, LEGACY_ANSWER)
        self.answered.append(job_id)
        self.at_work.set()


class PoppingWorker(LegacyWorker):
    """W1, W2, W3, W7, W8, W9: one job at a time, popped. A job is lost when it dies over it."""

    async def run(self) -> None:
        while True:
            popped = await self.redis.blpop([self.queue], timeout=0.1)
            if popped is not None:
                await self.answer(popped[1])


class AtomicWorker(LegacyWorker):
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


class TrimmingWorker(LegacyWorker):
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


@contextlib.asynccontextmanager
async def worker(redis: Redis, queue: str, answer: Answer) -> AsyncIterator[list[dict[str, Any]]]:
    """A worker with BLPOP while the block runs; the jobs that it took. Its answers have no expiry."""
    taken: list[dict[str, Any]] = []
    is_over = asyncio.Event()

    async def loop() -> None:
        while not is_over.is_set():
            popped = await redis.blpop([queue], timeout=0.05)
            if popped is not None:
                job = json.loads(popped[1])
                taken.append(job)
                await redis.set(job["id"], answer(job))

    running = asyncio.create_task(loop())
    try:
        yield taken
    finally:
        is_over.set()
        await running


def detections(job: dict[str, Any]) -> bytes:
    """What a detector answers, with the first pixel's channels, as it read them, in the box."""
    pixels = np.frombuffer(base64.b64decode(job["image"]), np.float32).reshape(1, job["height"], job["width"], 3)
    box = [0.0, *pixels[0, 0, 0].tolist()]
    return json.dumps([{"category_id": "Coral", "scores": [0.9], "bbox": box}]).encode()


def segments(job: dict[str, Any]) -> bytes:
    """What the segmenting worker answers: two masks, the second the better one."""
    del job
    boxes = [{"x": 0, "y": 0, "w": 4, "h": 4}, {"x": 1, "y": 1, "w": 6, "h": 5}]
    outlines = [[[0, 0], [4, 0], [4, 4]], [[1, 1], [7, 1], [7, 6], [1, 6]]]
    return json.dumps([{"box": boxes, "score": [0.5, 0.95], "poly": outlines}]).encode()
