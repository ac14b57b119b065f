"""How many jobs of one queue are in work at once."""

import asyncio


class ConcurrencyLimit:
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

    def release(self, count: int) -> None:
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
