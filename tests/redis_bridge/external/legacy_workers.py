"""Workers as the legacy fleet runs them, rewritten from what they read and write."""

import asyncio
import base64
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import numpy as np
from redis.asyncio import Redis

Answer = Callable[[dict[str, Any]], bytes]


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
