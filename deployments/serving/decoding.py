"""Decodes the images of one replica within its limits of memory and time."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext

import numpy as np
from numpy.typing import NDArray

from deployments.byte_budget import ByteBudget
from deployments.images import ImageLimits, read_header, to_pixels
from deployments.serving.request_state import MustWait, Received


class Decoding:
    """max_held_bytes: of pixels, over all images in work; see `PixelRoom`."""

    def __init__(self, max_held_bytes: int) -> None:
        self.held = ByteBudget(max_held_bytes, "decoded pixels")
        self._limits = ImageLimits()
        self._slow_turn = asyncio.Semaphore(1)

    def pixels(self, received: Received) -> NDArray[np.uint8] | MustWait:
        """RGB uint8 (height, width, 3) of its image, in the thread that calls. Where the image must wait: take a
        `turn`, and call again."""
        image = received.request.image
        if image.pixels is not None:
            return to_pixels(image, self._limits)
        encoded = read_header(image, self._limits)
        self.held.check(encoded.decoded_bytes)
        room = received.room
        if room.held is None and not encoded.is_slow:
            room.held = self.held.try_hold(encoded.decoded_bytes)
        if room.held is None:
            return MustWait(received, encoded.decoded_bytes, encoded.is_slow)
        return encoded.pixels(received.expires_at_s)

    @asynccontextmanager
    async def turn(self, waiting: MustWait) -> AsyncIterator[None]:
        """Around the decoding of an image that must wait: for room, and if it is slow for the slow ones before it.

        One slow image at a time is decoded, in a thread of its own, so that ordinary ones never wait for it.
        Raises DeadlineExceeded when there was no room in time.
        """
        received = waiting.received
        async with self._slow_turn if waiting.is_slow else nullcontext():
            received.room.held = await self.held.hold(waiting.wanted_bytes, received.expires_at_s)
            yield
