"""How much is in work at once: bytes of payloads and images over all queues, and jobs of one queue."""

import asyncio
import contextlib


class InFlightBytes:
    """A budget of bytes. Each queue asks for room before it takes jobs, and learns their size only then: at most
    `limit_bytes` and one job of each queue are held."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self._held_bytes = 0
        self._has_room = asyncio.Event()
        self._has_room.set()

    @property
    def held_bytes(self) -> int:
        """Bytes held now."""
        return self._held_bytes

    @property
    def room_bytes(self) -> int:
        """Bytes that are left."""
        return max(self._limit_bytes - self._held_bytes, 0)

    async def wait_for_room(self) -> None:
        """Waits while the budget is used up. All who wait go on together, one job for each."""
        await self._has_room.wait()

    def change(self, by_bytes: int) -> None:
        """`by_bytes` more are held than before; fewer when negative."""
        self._held_bytes += by_bytes
        if self._held_bytes < self._limit_bytes:
            self._has_room.set()
        else:
            self._has_room.clear()


class ByteReservation:
    """One job's part of the budget."""

    def __init__(self, budget: InFlightBytes, size_bytes: int) -> None:
        self._budget = budget
        self._size_bytes = size_bytes
        budget.change(size_bytes)

    def resize(self, size_bytes: int) -> None:
        """The job has become smaller or larger, as a payload becomes an image."""
        self._budget.change(size_bytes - self._size_bytes)
        self._size_bytes = size_bytes

    def release(self) -> None:
        """The job is gone; may be called twice."""
        self.resize(0)


class ConcurrencyLimit:
    """At most `count` places. `count` may change; places that are taken stay so."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.taken = 0
        self._changed = asyncio.Event()

    def take(self, count: int) -> None:
        """Takes `count` of the free places."""
        self.taken += count

    def release(self, count: int) -> None:
        """`count` places are free again."""
        self.taken -= count
        self._changed.set()

    async def wait_for_some(self, timeout_s: float) -> int:
        """How many places are free: at least one. While most are taken it waits for more of them, for at most
        `timeout_s`: jobs are cheaper together, and those in work keep the model busy meanwhile."""
        if 0 < self._free < self._worthwhile:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(timeout_s):
                    await self._wait_for(self._worthwhile)
        await self._wait_for(1)
        return self._free

    @property
    def _free(self) -> int:
        return self.count - self.taken

    @property
    def _worthwhile(self) -> int:
        return self.count // 4

    async def _wait_for(self, count: int) -> None:
        while self._free < count:
            self._changed.clear()
            await self._changed.wait()


class JobPlace:
    """One place of a limit, taken when it is made."""

    def __init__(self, limit: ConcurrencyLimit) -> None:
        self._limit = limit
        self._is_taken = True
        limit.take(1)

    def release(self) -> bool:
        """Frees the place. Returns whether it was still taken."""
        was_taken, self._is_taken = self._is_taken, False
        if was_taken:
            self._limit.release(1)
        return was_taken
