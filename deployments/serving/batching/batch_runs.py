"""Runs the batches of one model in threads and watches them: a batch that does not end is given up, and so is a model
on which all batches fail.
"""

import asyncio
import hashlib
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from deployments.errors import InternalError, ModelUnavailable
from deployments.families.contract import Outputs
from deployments.runtimes import Runtime
from deployments.serving.batching.micro_batcher import BATCHES_AT_ONCE
from deployments.serving.watchdog import Watchdog

FIRST_TAKES_TIMES = 5
"""How many times as long as others the first batch of a size and shape may take: its program is compiled then."""

Program = tuple[tuple[int, ...], int]
"""A shape of canvas, and how many such canvases run together."""


class BatchRuns:
    """Runs the batches of one loaded model, `BATCHES_AT_ONCE` together.

    canvas_px: height and width that it was compiled for.
    is_side_by_side: whether two batches run together without slowing each other, as on cores of their own.
    """

    def __init__(
        self, runtime: Runtime, watchdog: Watchdog, canvas_px: tuple[int, int], is_side_by_side: bool = False
    ) -> None:
        self.is_side_by_side = is_side_by_side
        self._runtime = runtime
        self._watchdog = watchdog
        self._threads = ThreadPoolExecutor(BATCHES_AT_ONCE, thread_name_prefix="inference")
        self._compiled_shape = (*canvas_px, 3)
        self._compiled: set[Program] = set()

    async def run(self, canvases: Sequence[NDArray[np.uint8]]) -> list[Outputs]:
        """The outputs of each canvas. Raises ModelUnavailable once the model is given up, InternalError when this
        batch is what does not end, and whatever the runtime raises: then the images may be at fault."""
        if reason := self._watchdog.reason:
            raise given_up(reason)
        shapes = Counter(canvas.shape for canvas in canvases)
        programs = {program for program in shapes.items() if program[0] != self._compiled_shape}
        limit_s = self._watchdog.stuck_after_s * (1 if programs <= self._compiled else FIRST_TAKES_TIMES)
        loop = asyncio.get_running_loop()
        timer = asyncio.timeout(limit_s)
        try:
            async with timer:
                outputs = await loop.run_in_executor(self._threads, self._runtime.infer, canvases)
        except TimeoutError:
            if not timer.expired():
                raise
            # The thread goes on, because no thread can be stopped; whoever waits for the batch need not.
            self._watchdog.give_up(f"a batch of {len(canvases)} has run for more than {limit_s:g} s")
            raise InternalError(f"the model did not finish the batch of this image within {limit_s:g} s") from None
        self._compiled |= programs
        return outputs

    def note(self, canvases: Sequence[NDArray[np.uint8]], is_inferred: bool) -> None:
        """A batch has ended. is_inferred: whether at least one of its images was, together or alone."""
        self._watchdog.note_batch((_digest(canvas) for canvas in canvases), is_inferred)

    def close(self) -> None:
        """Gives the threads back, without waiting for what runs in them."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def given_up(reason: str) -> ModelUnavailable:
    """The outcome of every request once a replica waits to be replaced."""
    return ModelUnavailable(f"the model is being replaced: {reason}")


def _digest(canvas: NDArray[np.uint8]) -> bytes:
    return hashlib.blake2b(np.ascontiguousarray(canvas).data, digest_size=16).digest()
