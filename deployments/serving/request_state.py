"""One image's way through a replica, as data, and which images go through its threads together. Knows no model."""

import logging
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deployments.byte_budget import HeldBytes
from deployments.errors import InternalError, ServingError
from deployments.families.contract import Outputs, Prepared
from deployments.logs import OWN_LOGGER
from deployments.prediction import Outcome
from deployments.request import Request
from deployments.serving.batching import Batched
from deployments.serving.tiling import Tile

logger = logging.getLogger(OWN_LOGGER)

SMALL_IMAGE_BYTES = 32 * 1024


@dataclass(slots=True)
class Work:
    """One request on its way through the replica; `outcome` ends it. pixels, tiles: of an image that is cut.
    is_held_up: it has its outcome and waits for the others of its call.
    held: the room for its pixels.  wanted_bytes, is_slow: of one that must wait before it is decoded.
    is_in_thread: while it is being decoded.  is_decoded: whether that is over, with or without pixels."""

    request: Request
    expires_at_s: float
    size_px: tuple[int, int] = (0, 0)
    pixels: NDArray[np.uint8] | None = None
    tiles: tuple[Tile, ...] = ()
    prepared: Prepared[Any] | None = None
    batched: Batched[Outputs] | None = None
    decode_s: float = 0.0
    outcome: Outcome | None = None
    is_held_up: bool = False
    held: HeldBytes | None = None
    wanted_bytes: int = 0
    is_slow: bool = False
    is_in_thread: bool = False
    is_decoded: bool = False

    @property
    def must_wait(self) -> bool:
        """Whether it takes a turn before it is decoded."""
        return self.outcome is None and self.wanted_bytes > 0

    def end_decoding(self) -> None:
        """Nobody waits for its pixels any more; a thread that is still at them drops them by itself."""
        self.is_decoded = True
        if not self.is_in_thread:
            self.drop_pixels()

    def drop_pixels(self) -> None:
        """They are not needed any more; may be called twice."""
        self.pixels = None
        if self.held is not None:
            self.held.release()

    @property
    def is_small(self) -> bool:
        """Whether it is decoded sooner than it is handed to a thread of its own."""
        return self.request.image.nbytes < SMALL_IMAGE_BYTES and self.request.options.tiling is None


def groups_of(work: list[Work]) -> list[list[Work]]:
    """What goes through the threads together: small images, for which handing over a thread costs more than
    decoding, and each larger image by itself, as each that may be cut into many."""
    small = [one for one in work if one.is_small]
    large = [[one] for one in work if not one.is_small]
    return [small, *large] if small else large


Watch = Callable[[], AbstractContextManager[None]]
"""Watches the work of a thread on one image (`watchdog.py`)."""


def do_each(step: Callable[[Work], None], group: list[Work], watch: Watch) -> None:
    """Does `step` for each of `group`; what it raises is the outcome of that one alone."""
    for one in group:
        try:
            with watch():
                step(one)
        except ServingError as error:
            one.outcome = error
        except Exception:
            logger.exception("a request failed unexpectedly")
            one.outcome = InternalError("the model failed on this image")
