"""Pools of connections in which a command waits for a free connection. Knows no address and no command.

redis-py's own pool of this kind costs every command a quarter more processor time, and there is none for Sentinel.
"""

import asyncio
from collections import deque
from typing import Any

from redis.asyncio import ConnectionPool
from redis.asyncio.sentinel import SentinelConnectionPool
from redis.exceptions import MaxConnectionsError


class BoundedPool(ConnectionPool):
    """At `max_connections` a command waits, in the order of coming. Each command ends, or runs into its time-out, so
    that nobody waits for ever."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def get_connection(self, *args: Any, **options: Any) -> Any:
        """A connected connection; to be given back with `release`."""
        while True:
            try:
                return await super().get_connection(*args, **options)  # type: ignore[no-untyped-call]  # the library's own gap
            except MaxConnectionsError:
                await self._next_release()

    async def release(self, connection: Any) -> None:
        """Gives a connection back."""
        try:
            await super().release(connection)
        finally:
            # Also when closing it failed: it is out of the pool then, which makes room as well.
            self._wake_one()

    async def _next_release(self) -> None:
        freed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(freed)
        try:
            await freed
        except asyncio.CancelledError:
            if freed.done() and not freed.cancelled():
                self._wake_one()
            raise

    def _wake_one(self) -> None:
        while self._waiting:
            freed = self._waiting.popleft()
            if not freed.done():
                freed.set_result(None)
                return


class BoundedSentinelPool(SentinelConnectionPool, BoundedPool):
    """The same for connections to the master that sentinels name."""
