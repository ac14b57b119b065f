"""How many bytes of payloads and images the bridge holds in memory, over all queues."""

import asyncio


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
        """The job has become smaller or larger, as a text becomes a picture."""
        self._budget.change(size_bytes - self._size_bytes)
        self._size_bytes = size_bytes

    def release(self) -> None:
        """The job is gone; may be called twice."""
        self.resize(0)
