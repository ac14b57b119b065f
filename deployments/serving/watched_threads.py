"""The threads in which a replica decodes and postprocesses, watched for work that does not end."""

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TypeVar

from deployments.serving.request_state import InWork, Watch, do_each
from deployments.serving.watchdog import Watchdog

DECODE_THREADS = 2
"""Two keep one core busy with decoding while another infers; more would only compete for the interpreter."""

LONGEST_DECODE_CPU_S = 20.0
"""Processor time that one image may take in a thread before the replica is replaced; twice what a decoder may take,
so that only a decoder that never returns from one call gets there."""

S = TypeVar("S", bound=InWork)
N = TypeVar("N")


class WatchedThreads:
    """executor: the threads of ordinary images; a slow one is decoded in a thread of its own."""

    def __init__(self, watchdog: Watchdog) -> None:
        self.executor = ThreadPoolExecutor(DECODE_THREADS, thread_name_prefix="decode")
        self._slow = ThreadPoolExecutor(1, thread_name_prefix="decode-slow")
        self._watch_decoding = partial(watchdog.during, "the decoding of an image", LONGEST_DECODE_CPU_S)
        self.watch_tiles: Watch = partial(watchdog.during, "a step of an image in tiles")
        self._watch_postprocessing = partial(watchdog.during, "the postprocessing of an image")

    async def decode_each(self, step: Callable[[S], N], group: Sequence[S], is_slow: bool = False) -> list[N]:
        """What `step` makes of each of `group`, one after the other in one thread; see `do_each`."""
        threads = self._slow if is_slow else self.executor
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(threads, do_each, step, group, self._watch_decoding)

    async def postprocess_each(self, step: Callable[[S], None], group: Sequence[S]) -> None:
        """Does `step` for each of `group`, as above."""
        if group:
            loop = asyncio.get_running_loop()
            await loop.run_in_executor(self.executor, do_each, step, group, self._watch_postprocessing)

    def close(self) -> None:
        """Gives the threads back, without waiting for what is stuck in one."""
        self.executor.shutdown(wait=False, cancel_futures=True)
        self._slow.shutdown(wait=False, cancel_futures=True)
