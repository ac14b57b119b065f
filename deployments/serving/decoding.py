"""Decodes the images of one replica within its bounds of memory and time. Knows no model."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext

import numpy as np
from numpy.typing import NDArray

from deployments.byte_budget import ByteBudget
from deployments.images import ImageLimits, read_header, to_pixels
from deployments.serving.request_state import Work

LONGEST_DECODE_CPU_S = 20.0
"""Seconds of a thread's own time at one image after which the replica is replaced; twice what a decoder may take."""


class Decoding:
    """max_held_bytes: of pixels, over all images in work; see `Work.drop_pixels`."""

    def __init__(self, max_held_bytes: int) -> None:
        self.held = ByteBudget(max_held_bytes, "decoded pixels")
        self._limits = ImageLimits()
        self._watch = DecodeWatch(LONGEST_DECODE_CPU_S)
        self._slow_turn = asyncio.Semaphore(1)

    def check(self) -> None:
        """Raises RuntimeError when an image holds a thread for good, for a health check."""
        self._watch.check()

    def pixels(self, one: Work) -> NDArray[np.uint8] | None:
        """Of its image, in the thread that calls. None where they must wait: take a `turn`, and call again."""
        image = one.request.image
        if image.pixels is not None:
            return to_pixels(image, self._limits)
        encoded = read_header(image, self._limits)
        self.held.check(encoded.decoded_bytes)
        if one.held is None and not encoded.is_slow:
            one.held = self.held.try_hold(encoded.decoded_bytes)
        if one.held is None:
            one.wanted_bytes, one.is_slow = encoded.decoded_bytes, encoded.is_slow
            return None
        self._watch.begin()
        try:
            return encoded.pixels(one.expires_at_s)
        finally:
            self._watch.end()

    @asynccontextmanager
    async def turn(self, one: Work) -> AsyncIterator[None]:
        """Around the decoding of an image that must wait: for room, and a slow one for those before it.

        One slow image at a time is decoded, and in a thread of its own, so that ordinary ones never wait for it.
        Raises DeadlineExceeded when there was no room in time.
        """
        async with self._slow_turn if one.is_slow else nullcontext():
            one.held = await self.held.hold(one.wanted_bytes, one.expires_at_s)
            yield


class DecodeWatch:
    """Finds a thread that an image holds for good.

    A decoder is stopped by the file it reads (`image_formats.metered`), unless it never returns from one call; then
    only a new process helps. limit_s: seconds of the thread's own time, which a busy machine does not lengthen.
    """

    def __init__(self, limit_s: float) -> None:
        self._limit_s = limit_s
        self._started_cpu_s: dict[int, float] = {}

    def begin(self) -> None:
        """The thread that calls begins to decode an image."""
        self._started_cpu_s[threading.get_ident()] = time.thread_time()

    def end(self) -> None:
        """It has ended."""
        del self._started_cpu_s[threading.get_ident()]

    def check(self) -> None:
        """Raises RuntimeError when a thread has been at one image for longer than the limit."""
        for thread, started_s in list(self._started_cpu_s.items()):
            spent_s = time.clock_gettime(time.pthread_getcpuclockid(thread)) - started_s
            if spent_s > self._limit_s:
                raise RuntimeError(
                    f"a thread has spent {spent_s:.1f} s of CPU time on decoding one image, the limit is "
                    f"{self._limit_s:g} s"
                )
