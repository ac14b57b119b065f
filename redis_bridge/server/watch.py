"""Whether Redis would take a job and an answer now, told in words. Knows no job and no model.

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

SILENCE_S = 5.0
"""A write without an answer for longer than this is told as silence."""

TRANSFERS = 32
"""Connections for large jobs at most: one for each thread of asyncio's pool, which has no more."""

MORE_CONNECTIONS = COMMANDS_AT_ONCE + VITAL_CONNECTIONS + TRANSFERS
"""Beside one for each queue, at most; most of them are opened under load only."""

ROOM_S = 30.0
"""How often the server is asked for how many clients it has room."""

_REFUSALS: tuple[tuple[type[Exception], str], ...] = (
    (OutOfMemoryError, "Redis is full (maxmemory, noeviction): it takes no job and no answer"),
    (ReadOnlyError, "Redis takes no writes: it is a replica, and its master is elsewhere"),
    (BusyLoadingError, "Redis is loading its data and answers nothing meanwhile"),
    (AuthenticationError, "Redis refuses the user or the password of REDIS_URL"),
    (AuthorizationError, "Redis refuses the user or the password of REDIS_URL"),
    (NoPermissionError, "Redis does not permit this user what the bridge does (ACL)"),
)
_BEGINNINGS = (
    ("MISCONF", "Redis cannot save to its disk and refuses all writes (MISCONF)"),
    ("NOREPLICAS", "Redis refuses all writes, as too few replicas follow it (NOREPLICAS)"),
    ("NOAUTH", "Redis wants a password, and REDIS_URL has none"),
)


def in_words(error: Exception) -> str:
    """What is wrong with Redis, for people; of the error's own text only what redis-py says of an address."""
    for kind, words in _REFUSALS:
        if isinstance(error, kind):
            return words
    text = str(error)
    for beginning, words in _BEGINNINGS:
        if text.startswith(beginning):
            return words
    if "max number of clients" in text:
        return "Redis takes no more clients (maxclients); the bridge needs a connection for each queue"
    if isinstance(error, ResponseError):
        return f"Redis refuses what the bridge writes: {text[:200]}"
    return f"Redis cannot be reached: {text[:200] or type(error).__name__}"


class RedisWatch:
    """The watch of one bridge. queues: how many it serves now, each with a connection of its own."""

    def __init__(
        self,
        redis: Redis,
        bridge: str,
        period_s: float,
        queues: Callable[[], int],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._redis = redis
        self._key = keys.written(bridge)
        self._period_s = period_s
        self._queues = queues
        self._clock = clock
        self._asked_at_s: float | None = None
        self._trouble = "Redis has not been reached yet"
        self._room_at_s = float("-inf")
        self._room_for = 0
        self._is_room_short = False

    @property
    def trouble(self) -> str:
        """Why a job would not be taken now, or not be answered; '' when all is well. Never waits."""
        if self._asked_at_s is not None and not self._trouble:
            silent_s = self._clock() - self._asked_at_s
            if silent_s > SILENCE_S:
                return f"Redis has not answered a write for {silent_s:.0f} s"
        return self._trouble

    async def run(self, stop: asyncio.Event) -> None:
        """Watches until `stop`."""
        while not stop.is_set():
            await self._look()
            await pause(self._period_s, stop)

    async def _look(self) -> None:
        self._asked_at_s = self._clock()
        try:
            await self._redis.set(self._key, "written", px=max(1000, int(10_000 * self._period_s)))
        except REDIS_ERRORS as error:
            self._note(in_words(error))
        else:
            self._note("")
            await self._look_for_room()
        finally:
            self._asked_at_s = None

    def _note(self, trouble: str) -> None:
        if trouble != self._trouble:
            if trouble:
                logger.warning("%s", trouble)
            elif self._trouble:
                logger.info("Redis takes jobs and answers")
        self._trouble = trouble

    async def _look_for_room(self) -> None:
        """Warns where the server will have no room for our connections; once until it has."""
        queues = self._queues()
        if queues == self._room_for and self._clock() - self._room_at_s < ROOM_S:
            return
        self._room_at_s, self._room_for = self._clock(), queues
        try:
            facts = await self._redis.info("clients")
        except REDIS_ERRORS:
            # INFO may be forbidden to us; then the first connection that is refused tells it.
            return
        most = facts.get("maxclients")
        need = queues + MORE_CONNECTIONS
        is_short = isinstance(most, int) and need > most
        if is_short and not self._is_room_short:
            logger.warning(
                "Redis takes %s clients at once (maxclients), and this bridge needs up to %d: one for each of its %d "
                "queues and %d more; jobs are late, and producers may be refused, until maxclients is raised",
                most,
                need,
                queues,
                MORE_CONNECTIONS,
            )
        self._is_room_short = is_short
