"""A fair reader-writer lock with downgrade: normal jobs share it, a suspect holds it alone.

A suspect holds it exclusively while it is decoded and handed to its model, which is where jobs kill bridges. Then
the lock is downgraded: others go on beside the suspect while its model works on it. A suspect that must be apart
is the only suspect from its start to its end.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator

EXCLUSIVE_TIMEOUT_S = 0.25
"""How long an exclusive holder waits for those who share the lock: by then they are decoded and in their models."""


class FairRWLock:
    """All who wait to share it go first, then one exclusive holder, in turn."""

    def __init__(self) -> None:
        self._sharers = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._is_exclusive = False
        self._suspects = 0
        self._is_apart = False
        self._waiting_to_share: deque[asyncio.Future[None]] = deque()
        self._waiting_for_exclusive: deque[tuple[bool, asyncio.Future[None]]] = deque()

    @contextlib.asynccontextmanager
    async def shared(self) -> AsyncIterator[None]:
        """Holds the lock together with others."""
        await self.acquire_shared()
        try:
            yield
        finally:
            self.release_shared()

    async def acquire_shared(self) -> None:
        """Waits while somebody holds the lock exclusively. Ends with `release_shared`."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting_to_share.append(turn)
        self._admit()
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.release_shared()
            raise

    def release_shared(self) -> None:
        """One holder less."""
        self._count_sharers(-1)
        self._admit()

    async def acquire_exclusive(self, apart: bool = False) -> bool:
        """Waits until nobody holds the lock exclusively, then for those who share it, but for at most
        EXCLUSIVE_TIMEOUT_S. Returns True. Ends with `downgrade` and then `release_exclusive`.

        apart: no other suspect is admitted until `release_exclusive`.
        """
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting_for_exclusive.append((apart, turn))
        self._admit()
        try:
            await turn
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(EXCLUSIVE_TIMEOUT_S):
                    await self._idle.wait()
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.downgrade()
                self.release_exclusive()
            else:
                self._admit()
            raise
        return True

    def downgrade(self) -> None:
        """The exclusive holder lets others in beside it."""
        self._is_exclusive = False
        self._admit()

    def release_exclusive(self) -> None:
        """The suspect that was downgraded has come to its end."""
        self._suspects -= 1
        self._is_apart = False
        self._admit()

    def _count_sharers(self, more: int) -> None:
        self._sharers += more
        if self._sharers:
            self._idle.clear()
        else:
            self._idle.set()

    def _admit(self) -> None:
        if self._is_exclusive:
            return
        while self._waiting_to_share:
            turn = self._waiting_to_share.popleft()
            if not turn.done():
                self._count_sharers(1)
                turn.set_result(None)
        while self._waiting_for_exclusive:
            apart, turn = self._waiting_for_exclusive[0]
            if not turn.done():
                if self._is_apart or (apart and self._suspects):
                    return
                self._is_exclusive = True
                self._is_apart = apart
                self._suspects += 1
                turn.set_result(None)
            self._waiting_for_exclusive.popleft()
            if self._is_exclusive:
                return
