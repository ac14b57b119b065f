"""How much the bridge holds at once: bytes over all queues, places of one queue. Knows no job and no Redis."""

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


class Hold:
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


class Places:
    """The places of one queue's jobs, which one consumer takes and many pieces of work give back.

    count: how many there are. It may change; those that are taken stay so.
    """

    def __init__(self, count: int) -> None:
        self.count = count
        self.taken = 0
        self._changed = asyncio.Event()

    def take(self, count: int) -> None:
        """`count` of the free places."""
        self.taken += count

    def give_back(self, count: int) -> None:
        """They are free again."""
        self.taken -= count
        self._changed.set()

    async def wait_for_some(self, patience_s: float) -> int:
        """How many are free: at least one. While most are taken it waits for up to `patience_s` for more of them,
        as jobs are cheaper together, and those in work keep the model busy meanwhile."""
        if 0 < self._free < self._worthwhile:
            try:
                async with asyncio.timeout(patience_s):
                    await self._wait_for(self._worthwhile)
            except TimeoutError:
                pass
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
