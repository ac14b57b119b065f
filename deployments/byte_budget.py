"""A bound on memory that many hold at once, such as decoded pixels. Knows no image, no model and no door.

Threads take what is there (`try_hold`); on an event loop one may also wait for it in turn (`hold`). Whoever has
taken gives back from any thread.
"""

import asyncio
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from deployments.errors import DeadlineExceeded, ImageTooLarge


class ByteBudget:
    """`limit_bytes` that all holders share. held_of: what is held, for messages, such as 'decoded pixels'."""

    def __init__(self, limit_bytes: int, held_of: str) -> None:
        self.limit_bytes = limit_bytes
        self.held_of = held_of
        self._held_bytes = 0
        self._lock = threading.Lock()
        self._waiting: deque[_Waiting] = deque()

    @property
    def held_bytes(self) -> int:
        """Bytes held now."""
        return self._held_bytes

    def try_hold(self, size_bytes: int) -> "HeldBytes | None":
        """The bytes, or None while there is no room, or while others wait for some. Raises ImageTooLarge where
        there never will be."""
        self.check(size_bytes)
        with self._lock:
            if self._waiting or not self._fits(size_bytes):
                return None
            self._held_bytes += size_bytes
        return HeldBytes(self, size_bytes)

    async def hold(self, size_bytes: int, ends_at_s: float) -> "HeldBytes":
        """The bytes, as soon as there is room, in order of arrival. ends_at_s: on the monotonic clock.

        Raises DeadlineExceeded when there was none until then, ImageTooLarge where there never will be.
        """
        held = self.try_hold(size_bytes)
        if held is not None:
            return held
        waiting = _Waiting(size_bytes, asyncio.get_running_loop())
        with self._lock:
            self._waiting.append(waiting)
            self._let_in()
        try:
            async with asyncio.timeout(max(ends_at_s - time.monotonic(), 0.0)):
                await waiting.is_over.wait()
        except TimeoutError:
            self._leave(waiting)
            raise DeadlineExceeded(
                f"no room for {size_bytes} bytes of {self.held_of} became free in time: {self._held_bytes} bytes are "
                f"held, the limit is {self.limit_bytes}"
            ) from None
        except asyncio.CancelledError:
            self._leave(waiting)
            raise
        if not waiting.was_let_in:
            self.check(size_bytes)
        return HeldBytes(self, size_bytes)

    def set_limit(self, limit_bytes: int) -> None:
        """From now on. Those who wait for more than there will ever be are told so."""
        with self._lock:
            self.limit_bytes = limit_bytes
            for waiting in [one for one in self._waiting if one.size_bytes > limit_bytes]:
                self._waiting.remove(waiting)
                waiting.end()
            self._let_in()

    def release(self, held: "HeldBytes") -> None:
        """Its bytes are free, and those who wait for them go on. Nothing when it has been released before."""
        with self._lock:
            self._held_bytes -= held.size_bytes
            held.size_bytes = 0
            self._let_in()

    def check(self, size_bytes: int) -> None:
        """Raises ImageTooLarge where there never will be so much room."""
        if size_bytes > self.limit_bytes:
            raise ImageTooLarge(
                f"the image needs {size_bytes} bytes of {self.held_of}, the limit is {self.limit_bytes}"
            )

    def _fits(self, size_bytes: int) -> bool:
        return self._held_bytes + size_bytes <= self.limit_bytes

    def _let_in(self) -> None:
        while self._waiting and self._fits(self._waiting[0].size_bytes):
            first = self._waiting.popleft()
            self._held_bytes += first.size_bytes
            first.was_let_in = True
            first.end()

    def _leave(self, waiting: "_Waiting") -> None:
        with self._lock:
            if waiting.was_let_in:
                self._held_bytes -= waiting.size_bytes
            elif waiting in self._waiting:
                self._waiting.remove(waiting)
            self._let_in()


class HeldBytes:
    """One holder's part of a budget; a context manager that gives it back."""

    def __init__(self, budget: ByteBudget, size_bytes: int) -> None:
        self._budget = budget
        self.size_bytes = size_bytes

    def release(self) -> None:
        """Gives the bytes back; may be called twice, from any thread."""
        self._budget.release(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


@dataclass(slots=True, eq=False)
class _Waiting:
    size_bytes: int
    loop: asyncio.AbstractEventLoop
    is_over: asyncio.Event = field(default_factory=asyncio.Event)
    was_let_in: bool = False

    def end(self) -> None:
        """From any thread."""
        self.loop.call_soon_threadsafe(self.is_over.set)
