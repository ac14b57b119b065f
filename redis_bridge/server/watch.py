"""Whether Redis would accept a job and an answer now, and the reason when it would not.

A server that answers may still refuse every write: its memory is full, its disk is, it is a replica. So the watch
writes, one small key with an expiry, as often as the bridge's heart beats. Its client waits for no connection.
"""

import asyncio
import logging
import time
from collections.abc import Callable

from redis.asyncio import Redis
from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    BusyLoadingError,
    NoPermissionError,
    OutOfMemoryError,
    ReadOnlyError,
    ResponseError,
)

from deployments.logs import OWN_LOGGER
from redis_bridge import keys
from redis_bridge.client.connection import COMMANDS_AT_ONCE, REDIS_ERRORS, VITAL_CONNECTIONS, pause

logger = logging.getLogger(OWN_LOGGER)

WRITE_TIMEOUT_S = 5.0
"""A write that takes longer is a reason."""

BULK_CONNECTIONS = 32
"""Connections for large jobs at most: one for each thread of asyncio's pool, which has no more."""

MORE_CONNECTIONS = COMMANDS_AT_ONCE + VITAL_CONNECTIONS + BULK_CONNECTIONS
"""Beside one for each queue, at most; most of them are opened under load only."""

ROOM_POLL_INTERVAL_S = 30.0
"""How often the server is asked how many clients it accepts."""

_REFUSALS: tuple[tuple[type[Exception], str], ...] = (
    (OutOfMemoryError, "Redis is full (maxmemory, noeviction): it takes no job and no answer"),
    (ReadOnlyError, "Redis accepts no writes: it is a replica, and its master is elsewhere"),
    (BusyLoadingError, "Redis is loading its data and does not respond meanwhile"),
    (AuthenticationError, "Redis refuses the user or the password of REDIS_URL"),
    (AuthorizationError, "Redis refuses the user or the password of REDIS_URL"),
    (NoPermissionError, "Redis does not permit this user to do what the bridge does (ACL)"),
)
_BEGINNINGS = (
    ("MISCONF", "Redis cannot save to its disk and refuses all writes (MISCONF)"),
    ("NOREPLICAS", "Redis refuses all writes, as too few replicas follow it (NOREPLICAS)"),
    ("NOAUTH", "Redis wants a password, and REDIS_URL has none"),
)


def in_words(error: Exception) -> str:
    """What is wrong with Redis, in a sentence; only what redis-py says of an address is quoted from the error."""
    for kind, words in _REFUSALS:
        if isinstance(error, kind):
            return words
    text = str(error)
    for beginning, words in _BEGINNINGS:
        if text.startswith(beginning):
            return words
    if "max number of clients" in text:
        return "Redis accepts no more clients (maxclients); the bridge needs a connection for each queue"
    if isinstance(error, ResponseError):
        return f"Redis refuses what the bridge writes: {text[:200]}"
    return f"Redis cannot be reached: {text[:200] or type(error).__name__}"


class RedisWatch:
    """The watch of one bridge."""

    def __init__(
        self,
        redis: Redis,
        bridge: str,
        poll_interval_s: float,
        queues: Callable[[], int],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """queues: how many the bridge serves now, each with a connection of its own."""
        self._redis = redis
        self._key = keys.written(bridge)
        self._poll_interval_s = poll_interval_s
        self._queues = queues
        self._clock = clock
        self._asked_at_s: float | None = None
        self._reason = "Redis has not been reached yet"
        self._room_at_s = float("-inf")
        self._room_for = 0
        self._is_room_short = False

    @property
    def reason(self) -> str:
        """Why a job would not be accepted or not be answered now; '' when all is well. Never waits."""
        if self._asked_at_s is not None and not self._reason:
            silent_s = self._clock() - self._asked_at_s
            if silent_s > WRITE_TIMEOUT_S:
                return f"Redis has not answered a write for {silent_s:.0f} s"
        return self._reason

    async def run(self, stop: asyncio.Event) -> None:
        """Watches until `stop`."""
        while not stop.is_set():
            await self._check_writes()
            await pause(self._poll_interval_s, stop)

    async def _check_writes(self) -> None:
        self._asked_at_s = self._clock()
        try:
            await self._redis.set(self._key, "written", px=max(1000, int(10_000 * self._poll_interval_s)))
        except REDIS_ERRORS as error:
            self._note(in_words(error))
        else:
            self._note("")
            await self._check_room()
        finally:
            self._asked_at_s = None

    def _note(self, reason: str) -> None:
        if reason != self._reason:
            if reason:
                logger.warning("%s", reason)
            elif self._reason:
                logger.info("Redis accepts jobs and answers")
        self._reason = reason

    async def _check_room(self) -> None:
        """Warns once when the server has no room for all our connections."""
        queues = self._queues()
        if queues == self._room_for and self._clock() - self._room_at_s < ROOM_POLL_INTERVAL_S:
            return
        self._room_at_s, self._room_for = self._clock(), queues
        try:
            facts = await self._redis.info("clients")
        except REDIS_ERRORS:
            # INFO may be forbidden; then the first connection that is refused shows it.
            return
        most = facts.get("maxclients")
        need = queues + MORE_CONNECTIONS
        is_short = isinstance(most, int) and need > most
        if is_short and not self._is_room_short:
            logger.warning(
                "Redis takes %s clients at once (maxclients), and this bridge needs up to %d: one for each of its %d "
                "queues and %d more; jobs are late, and clients may be refused, until maxclients is raised",
                most,
                need,
                queues,
                MORE_CONNECTIONS,
            )
        self._is_room_short = is_short
