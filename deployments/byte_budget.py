"""A limit on memory that many hold at once, such as decoded pixels or uploads.

What happens while there is no room is the caller's choice: `try_hold` answers None, `hold` waits its turn until a
deadline, and `HeldBytes.grow`, for sizes that are not known in advance, refuses. One client may have a smaller
limit than all have together. Bytes are taken and released in any thread; only `hold` needs an event loop.
"""

import asyncio
import threading
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

from deployments.errors import DeadlineExceeded, ImageTooLarge, Overloaded


class ByteBudget:
    """The bytes that all holders share.

    held_of: what is held, for messages, such as 'decoded pixels'.
    client_limit_bytes: how many of them one client may hold; None for all. Only `open` knows clients.
    """

    def __init__(self, limit_bytes: int, held_of: str, client_limit_bytes: int | None = None) -> None:
        self.limit_bytes = limit_bytes
        self.held_of = held_of
        self._client_limit_bytes = client_limit_bytes
        self._client_bytes: Counter[str | None] = Counter()
        self._held_bytes = 0
        self._lock = threading.Lock()
        self._waiting: deque[_Waiting] = deque()

    @property
    def held_bytes(self) -> int:
        """Bytes held now."""
        return self._held_bytes

    def open(self, client: str) -> "HeldBytes":
        """No bytes yet, for `client`: they are taken with `HeldBytes.grow`."""
        return HeldBytes(self, 0, client)

    def try_hold(self, size_bytes: int) -> "HeldBytes | None":
        """The bytes, or None while there is no room or others wait for some. Raises ImageTooLarge if there can never
        be enough room."""
        self.check(size_bytes)
        with self._lock:
            if self._waiting or not self._fits(size_bytes):
                return None
            self._add(size_bytes, None)
        return HeldBytes(self, size_bytes)

    async def hold(self, size_bytes: int, ends_at_s: float) -> "HeldBytes":
        """The bytes, as soon as there is room, in order of arrival. ends_at_s: on the monotonic clock.

        Raises DeadlineExceeded if there was no room until then, ImageTooLarge if there can never be enough.
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
        """Holds from now on. A request that waits for more than that is refused."""
        with self._lock:
            self.limit_bytes = limit_bytes
            for waiting in [one for one in self._waiting if one.size_bytes > limit_bytes]:
                self._waiting.remove(waiting)
                waiting.end()
            self._let_in()

    def check(self, size_bytes: int, client: str | None = None) -> None:
        """Raises ImageTooLarge if there can never be room for this many bytes, or none for this client."""
        most = min(self.limit_bytes, self._limit_of(client))
        if size_bytes > most:
            raise ImageTooLarge(f"the image needs {size_bytes} bytes of {self.held_of}, the limit is {most}")

    def add_to(self, held: "HeldBytes", size_bytes: int) -> None:
        """What `HeldBytes.grow` does."""
        self.check(held.size_bytes + size_bytes, held.client)
        with self._lock:
            if not self._fits(size_bytes):
                raise Overloaded(
                    f"{self._held_bytes} bytes of {self.held_of} are held, and {size_bytes} more are over the limit "
                    f"{self.limit_bytes}; try again"
                )
            of_client, most = self._client_bytes.get(held.client, 0), self._limit_of(held.client)
            if of_client + size_bytes > most:
                raise Overloaded(
                    f"this client holds {of_client} bytes of {self.held_of}, and {size_bytes} more are over the "
                    f"limit {most} of one client; try again"
                )
            self._add(size_bytes, held.client)
            held.size_bytes += size_bytes

    def release(self, held: "HeldBytes") -> None:
        """Its bytes are free, and whoever waits for them goes on. Does nothing if they were released before."""
        with self._lock:
            self._add(-held.size_bytes, held.client)
            held.size_bytes = 0
            self._let_in()

    def _add(self, size_bytes: int, client: str | None) -> None:
        self._held_bytes += size_bytes
        if client is not None:
            self._client_bytes[client] += size_bytes
            if not self._client_bytes[client]:
                del self._client_bytes[client]

    def _limit_of(self, client: str | None) -> int:
        return self.limit_bytes if client is None or self._client_limit_bytes is None else self._client_limit_bytes

    def _fits(self, size_bytes: int) -> bool:
        return self._held_bytes + size_bytes <= self.limit_bytes

    def _let_in(self) -> None:
        while self._waiting and self._fits(self._waiting[0].size_bytes):
            first = self._waiting.popleft()
            self._add(first.size_bytes, None)
            first.was_let_in = True
            first.end()

    def _leave(self, waiting: "_Waiting") -> None:
        with self._lock:
            if waiting.was_let_in:
                self._add(-waiting.size_bytes, None)
            elif waiting in self._waiting:
                self._waiting.remove(waiting)
            self._let_in()


class HeldBytes:
    """One holder's part of a budget; a context manager that gives it back. client: None where nobody asks."""

    def __init__(self, budget: ByteBudget, size_bytes: int, client: str | None = None) -> None:
        self._budget = budget
        self.size_bytes = size_bytes
        self.client = client

    def grow(self, size_bytes: int) -> None:
        """Takes `size_bytes` more. Raises Overloaded while there is no room, for all or for this client, and
        ImageTooLarge if there can never be enough for this holder alone."""
        self._budget.add_to(self, size_bytes)

    def moved(self) -> "HeldBytes":
        """The same bytes with another holder, for work that goes on when this one ends; this one holds none then."""
        other = HeldBytes(self._budget, self.size_bytes, self.client)
        self.size_bytes = 0
        return other

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
