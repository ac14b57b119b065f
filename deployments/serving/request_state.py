"""The stages of one image on its way through a replica, each a type of its own.

    Received -> (MustWait ->) PreparedImage -> BatchedImage      answered when it is postprocessed
                           `-> CutImage                          answered when its tiles are

Every stage knows the `Received` that it began as, and can end it with an outcome.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from deployments.byte_budget import HeldBytes
from deployments.errors import DeadlineExceeded, InternalError, ServingError
from deployments.families.contract import Outputs, Prepared
from deployments.logs import OWN_LOGGER
from deployments.origin import Origin, about
from deployments.prediction import Outcome
from deployments.request import Request
from deployments.serving.batching.batch_items import Batched
from deployments.serving.tiling.tiles import Tile

logger = logging.getLogger(OWN_LOGGER)

SMALL_IMAGE_BYTES = 32 * 1024


class PixelRoom:
    """The room in memory that the pixels of one image hold. It is given back when nobody needs them: by the thread
    that decodes, if one still does, or else by whoever ends the decoding.
    """

    def __init__(self) -> None:
        self.held: HeldBytes | None = None
        self._pixels: NDArray[np.uint8] | None = None
        self._is_in_thread = False
        self._is_over = False

    @contextmanager
    def in_thread(self) -> Iterator[None]:
        """Around the decoding, in its thread. Raises DeadlineExceeded if `end` was called before."""
        self._is_in_thread = True
        try:
            if self._is_over:
                raise DeadlineExceeded("nobody waits for this image any more")
            yield
        finally:
            self._is_in_thread = False
            if self._is_over or self._pixels is None:
                self.release()

    def keep(self, pixels: NDArray[np.uint8]) -> None:
        """The pixels are needed after the thread has ended, until `end`."""
        self._pixels = pixels

    @property
    def pixels(self) -> NDArray[np.uint8]:
        """Those that were kept. Raises DeadlineExceeded after `end`."""
        if self._pixels is None:
            raise DeadlineExceeded("nobody waits for this image any more")
        return self._pixels

    def end(self) -> None:
        """Nobody waits for the pixels any more; a thread that still decodes them gives the room back itself."""
        self._is_over = True
        if not self._is_in_thread:
            self.release()

    def release(self) -> None:
        """Drops the pixels and gives the room back; may be called twice."""
        self._pixels = None
        held, self.held = self.held, None
        if held is not None:
            held.release()


@dataclass(slots=True, eq=False)
class Received:
    """One request that was taken in."""

    request: Request
    expires_at_s: float
    """On the monotonic clock."""
    outcome: Outcome | None = None
    """Ends the request once it is set."""
    is_held_up: bool = False
    """Whether it has its outcome and waits for the others of its call."""
    room: PixelRoom = field(default_factory=PixelRoom)

    def end(self, outcome: Outcome) -> None:
        """This is what the client is answered."""
        self.outcome = outcome

    @property
    def origin(self) -> Origin | None:
        """Where the request came from."""
        return self.request.origin

    def end_late(self) -> None:
        """The time is over: ends it unless it has an outcome already."""
        self.outcome = self.outcome or DeadlineExceeded("the time was over before the image was done")

    @property
    def is_small(self) -> bool:
        """Whether decoding it takes less time than handing it to a thread of its own."""
        return self.request.image.nbytes < SMALL_IMAGE_BYTES and not self.request.options.cuts


@dataclass(frozen=True, slots=True, eq=False)
class MustWait:
    """Before it is decoded: there is no room for its pixels, or it is slow to decode and others are before it."""

    received: Received
    wanted_bytes: int
    is_slow: bool

    @property
    def origin(self) -> Origin | None:
        """Where the request came from."""
        return self.received.request.origin

    def end(self, outcome: Outcome) -> None:
        """Ends the request."""
        self.received.end(outcome)


@dataclass(frozen=True, slots=True, eq=False)
class PreparedImage:
    """Decoded and preprocessed: ready for a batch. size_px: height and width of the image."""

    received: Received
    size_px: tuple[int, int]
    decode_s: float
    prepared: Prepared[Any]

    @property
    def origin(self) -> Origin | None:
        """Where the request came from."""
        return self.received.request.origin

    def end(self, outcome: Outcome) -> None:
        """Ends the request."""
        self.received.end(outcome)


@dataclass(frozen=True, slots=True, eq=False)
class CutImage:
    """Decoded, and to be looked at in parts: tiles of a large one, or regions that were asked for. Its pixels are in
    its room, so that they go when it is ended.

    size_px: height and width of the image.
    """

    received: Received
    size_px: tuple[int, int]
    decode_s: float
    tiles: tuple[Tile, ...]

    @property
    def origin(self) -> Origin | None:
        """Where the request came from."""
        return self.received.request.origin

    def end(self, outcome: Outcome) -> None:
        """Ends the request."""
        self.received.end(outcome)


@dataclass(frozen=True, slots=True, eq=False)
class BatchedImage:
    """Inferred: ready to be postprocessed."""

    image: PreparedImage
    batched: Batched[Outputs]

    @property
    def origin(self) -> Origin | None:
        """Where the request came from."""
        return self.image.origin

    def end(self, outcome: Outcome) -> None:
        """Ends the request."""
        self.image.end(outcome)


class InWork(Protocol):
    """Any of the types above."""

    @property
    def origin(self) -> Origin | None:
        """Where the request came from."""
        ...

    def end(self, outcome: Outcome) -> None:
        """Ends the request."""
        ...


S = TypeVar("S", bound=InWork)
N = TypeVar("N")

Watch = Callable[[], AbstractContextManager[None]]
"""Watches the work of a thread on one image (`watchdog.py`)."""


def groups_of(received: list[Received]) -> list[list[Received]]:
    """What goes through the threads together: all small images, for which a change of threads costs more than
    decoding, and each larger image by itself, since it may be cut into many."""
    small = [one for one in received if one.is_small]
    large = [[one] for one in received if not one.is_small]
    return [small, *large] if small else large


def do_each(step: Callable[[S], N], group: Sequence[S], watch: Watch) -> list[N]:
    """What `step` makes of each of `group`. Where it raises, the error ends that request alone, and nothing of it is
    returned."""
    made = []
    for one in group:
        try:
            with watch():
                made.append(step(one))
        except ServingError as error:
            one.end(error)
        except Exception:
            logger.exception("a request failed unexpectedly", extra=about([one.origin]))
            one.end(InternalError("the model failed on this image"))
    return made
