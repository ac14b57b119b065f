"""How many messages may arrive at a time.

gRPC says nothing of a message before it is there as a whole, so none can be counted as it comes. Instead each has a
place until it is handed over, and there are as many as fit into memory if all are as large as they may be. Who finds
none waits, and the bytes of such a message wait at the client.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass(slots=True)
class _OfClient:
    free: asyncio.Semaphore
    calls: int = 0


@dataclass(frozen=True, slots=True)
class ArrivalPlaces:
    """total: of all clients together.  per_client: of one address, so that none has all of them."""

    total: int
    per_client: int
    _free: asyncio.Semaphore = field(init=False)
    _by_client: dict[str, _OfClient] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_free", asyncio.Semaphore(self.total))

    @asynccontextmanager
    async def taken(self, client: str) -> AsyncIterator[None]:
        """Waits for a place, in order of arrival, and has it until the end."""
        mine = self._by_client.setdefault(client, _OfClient(asyncio.Semaphore(self.per_client)))
        mine.calls += 1
        try:
            async with mine.free, self._free:
                yield
        finally:
            mine.calls -= 1
            if not mine.calls:
                del self._by_client[client]
