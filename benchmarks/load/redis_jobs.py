"""Jobs as legacy clients write them, laid ready, let go and timed. Knows a Redis server and no system."""

import time
import uuid
from collections.abc import Sequence
from typing import Any

import numpy as np
import pybase64
from redis import Redis

from benchmarks.sample_images import SampleImage

STAGED = "bench:staged"
"""Where jobs are laid ready: renaming it to a queue's name lets all of them go at once."""

_BLOCK = 100
_POLL_INTERVAL_S = 0.002
_ANSWER_POLL_INTERVAL_S = 0.0005


class NotAnswered(Exception):
    """Jobs were left without an answer for too long."""


class JobMaker:
    """Makes jobs that differ in their id only: float32 BGR pixels of one image as base64 text."""

    def __init__(self, image: SampleImage) -> None:
        height, width = image.size_px
        pixels = np.ascontiguousarray(image.pixels()[None, :, :, ::-1].astype(np.float32))
        encoded = pybase64.b64encode(pixels.data)
        self._tail = b'", "image": "' + encoded + f'", "height": {height}, "width": {width}}}'.encode()

    @property
    def job_bytes(self) -> int:
        """Bytes of one job, but for its id."""
        return len(self._tail)

    def job(self, job_id: str) -> bytes:
        """The payload of this job."""
        return b'{"id": "' + job_id.encode() + self._tail


def new_ids(count: int) -> list[str]:
    """Fresh job ids."""
    return [str(uuid.uuid4()) for _ in range(count)]


def push_to_answer_s(store: "Redis", queue: str, maker: JobMaker, timeout_s: float) -> tuple[float, bytes]:
    """Seconds from the begin of one push until its answer is read, and the answer. Raises NotAnswered."""
    [job_id] = new_ids(1)
    job = maker.job(job_id)
    began_at_s = time.perf_counter()
    store.rpush(queue, job)
    while True:
        answer: Any = store.get(job_id)
        now_s = time.perf_counter()
        if answer is not None:
            store.unlink(job_id)
            return now_s - began_at_s, answer
        if now_s - began_at_s > timeout_s:
            raise NotAnswered(f"a job on {queue} has no answer after {timeout_s:g} s")
        time.sleep(_ANSWER_POLL_INTERVAL_S)


def drain_s(store: "Redis", queue: str, maker: JobMaker, count: int, timeout_s: float) -> float:
    """Seconds until `count` jobs that appear at once are all answered. Raises NotAnswered."""
    ids = new_ids(count)
    for job_id in ids:
        store.rpush(STAGED, maker.job(job_id))
    wait_for_disk(store, timeout_s)
    began_at_s = time.perf_counter()
    store.rename(STAGED, queue)
    _wait_for_answers(store, ids, began_at_s + timeout_s)
    took_s = time.perf_counter() - began_at_s
    for start in range(0, count, _BLOCK):
        store.unlink(*ids[start : start + _BLOCK])
    return took_s


def wait_for_disk(store: "Redis", timeout_s: float) -> None:
    """Waits until the server has written what it was given, so that staging is not paid for by the drain."""
    until_s = time.monotonic() + timeout_s
    while time.monotonic() < until_s:
        info: Any = store.info("persistence")
        if not info.get("aof_rewrite_in_progress") and not info.get("aof_pending_bio_fsync"):
            return
        time.sleep(0.05)
    raise NotAnswered(f"the server was still writing after {timeout_s:g} s")


def _wait_for_answers(store: "Redis", ids: Sequence[str], until_s: float) -> None:
    # Block after block: whatever the order of the answers, the last block is complete when all are.
    for start in range(0, len(ids), _BLOCK):
        block = ids[start : start + _BLOCK]
        # One key is asked for while the block is not done: a hundred would cost as much as a tenth of its jobs.
        while not store.exists(block[-1]) and time.perf_counter() < until_s:
            time.sleep(_POLL_INTERVAL_S)
        while True:
            answered: Any = store.exists(*block)
            if answered == len(block):
                break
            if time.perf_counter() > until_s:
                raise NotAnswered(f"{len(block) - answered} of {len(block)} jobs have no answer in time")
            time.sleep(_POLL_INTERVAL_S)
