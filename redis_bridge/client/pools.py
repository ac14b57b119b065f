"""Pools of connections in which a command waits for a free connection, for a bounded time.

redis-py's own pool of this kind costs every command a quarter more processor time, and there is none for Sentinel.
"""

import asyncio
from collections import deque
from typing import Any

from redis.asyncio import ConnectionPool
from redis.asyncio.sentinel import SentinelConnectionPool
from redis.exceptions import MaxConnectionsError
from redis.exceptions import TimeoutError as RedisTimeoutError

DEFAULT_TIMEOUT_S = 10.0
"""How long a command waits for a connection where the connections have no `socket_timeout`."""


class BoundedPool(ConnectionPool):
    """At `max_connections` a command waits, first come, first served: for a connection no longer than, later, for
    its response (`socket_timeout`), so that a server that is silent cannot hold up a stop."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def get_connection(self, *args: Any, **options: Any) -> Any:
        """A connected connection; to be given back with `release`. Raises redis' TimeoutError when none became free
        in time."""
        timeout_s = float(self.connection_kwargs.get("socket_timeout") or DEFAULT_TIMEOUT_S)
        ends_at_s = asyncio.get_running_loop().time() + timeout_s
        while True:
            try:
                return await super().get_connection(*args, **options)  # type: ignore[no-untyped-call]  # the library's own gap
            except MaxConnectionsError:
                pass
            try:
                async with asyncio.timeout_at(ends_at_s):
                    await self._next_release()
            except TimeoutError:
                raise RedisTimeoutError(
                    f"none of {self.max_connections} connections to Redis became free within {timeout_s:g} s"
                ) from None

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
