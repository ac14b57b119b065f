"""Keeps the keys of this system usable, whatever other programs write under them.

A key of another type than ours would fail every command on it, and with it heartbeats, acks and dead letters. It is
moved out of the way for an operator to inspect, and a warning names it.
"""

import logging
import re
from collections.abc import Iterable, Mapping
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from deployments.logs import OWN_LOGGER
from redis_bridge import keys

logger = logging.getLogger(OWN_LOGGER)

SET_ASIDE_S = 7 * 24 * 3600
"""How long what was moved out of the way is kept."""

_SHARED = {
    keys.BRIDGES: "set",
    keys.REGISTERED: "hash",
    keys.EXTERNAL_ASKED: "zset",
    keys.DEAD_LETTERS: "list",
    keys.DEAD_LETTERS_SEEN: "string",
}
_COUNT = re.compile(rb"\d{1,15}")


class OwnKeys:
    """Looks at our keys. May raise what connection.REDIS_ERRORS lists, but not when the ACL forbids a command."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    async def repair(self, queues: Iterable[str], bridge: str) -> None:
        """Sets aside what is not ours under the keys that all bridges share, those of `queues` and of `bridge`; one
        round trip."""
        records = dict.fromkeys(map(keys.attempts, queues), "hash")
        await self.repair_keys(_SHARED | records | {keys.trial(bridge): "string"})

    async def repair_keys(self, kinds: Mapping[str, str]) -> None:
        """The same for these keys. kinds: key -> the Redis type that it has, when it is there."""
        async with self._redis.pipeline(transaction=False) as pipe:
            for key in kinds:
                pipe.type(key)
            pipe.get(keys.DEAD_LETTERS_SEEN)
            *found, seen = await pipe.execute(raise_on_error=False)
        for (key, kind), there in zip(kinds.items(), found, strict=True):
            if isinstance(there, bytes) and there not in (b"none", kind.encode()):
                await self._set_aside(key, f"a key of type {there.decode()}, where this system keeps a {kind}")
            elif key == keys.DEAD_LETTERS_SEEN and isinstance(seen, bytes) and not _COUNT.fullmatch(seen):
                await self._set_aside(key, "something that is not a count of dead letters")

    async def _set_aside(self, key: str, what: str) -> None:
        aside = keys.set_aside(key)
        try:
            async with self._redis.pipeline(transaction=True) as pipe:
                pipe.rename(key, aside)
                pipe.expire(aside, SET_ASIDE_S)
                results: list[Any] = await pipe.execute()
        except ResponseError as error:
            # Another bridge was faster, or we may not.
            logger.debug("%s could not be set aside: %s", key, error)
            return
        if results[0]:
            logger.warning("another program has written %s under %s; it was moved to %s", what, key, aside)
