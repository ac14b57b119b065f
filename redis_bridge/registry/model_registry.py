"""The registry key: which queues there are, and which model answers for each. Ours beside those of others.

An entry is JSON: queue, model, server ("fathomnet-serve", which marks it as ours), door, bridge, state, reason,
replicas, heartbeat_s (Unix time), definition, knobs. Entries of others are kept as they are, and their queues are
not consumed. Ours go with their model, with their bridge, or, when that bridge died, by any other bridge.
"""

import contextlib
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import orjson
from redis.asyncio import Redis
from redis.exceptions import OutOfMemoryError, WatchError

from deployments.catalogue import ModelRecord
from deployments.logs import OWN_LOGGER
from redis_bridge.registry.encodings import UnreadableRegistry, encoding_of

logger = logging.getLogger(OWN_LOGGER)

SERVER = "fathomnet-serve"
_ATTEMPTS = 10

Entry = dict[str, Any]


def entry_of(queue: str, model: ModelRecord) -> Entry:
    """What the registry says of `queue`, without what changes from beat to beat."""
    return {
        "queue": queue,
        "model": model.name,
        "server": SERVER,
        "door": "redis",
        "state": model.state.value,
        "reason": model.reason,
        "replicas": model.replicas,
        # The path of the weights is of no use to a client, and may be private.
        "definition": model.definition.model_dump(mode="json", exclude={"weights"}),
        "knobs": model.knobs.model_dump(mode="json"),
    }


class Registry:
    """Our part of the registry key. is_alive: whether the bridge with this id lives."""

    def __init__(self, redis: Redis, key: str, bridge: str, is_alive: Callable[[str], Awaitable[bool]]) -> None:
        self._redis = redis
        self._key = key
        self._bridge = bridge
        self._is_alive = is_alive
        self._reason = ""

    async def refresh(self, entries: Mapping[str, Entry]) -> Mapping[str, Entry | None]:
        """Makes ours equal to `entries`. Returns the queues that others have registered, each with its entry
        as it was read, None where that is a bare name.

        Raises what connection.REDIS_ERRORS lists. A key in an encoding that cannot be read is left alone, with one
        warning, and nothing counts as registered by others.
        """
        for _ in range(_ATTEMPTS):
            try:
                foreign = await self._try_refresh(entries)
            except WatchError:
                continue
            except UnreadableRegistry as error:
                self._warn(str(error))
                return {}
            self._reason = ""
            return foreign
        raise WatchError(f"the registry key {self._key} changes all the time")

    async def withdraw(self) -> None:
        """Removes this bridge's entries."""
        await self.refresh({})

    async def _try_refresh(self, entries: Mapping[str, Entry]) -> Mapping[str, Entry | None]:
        async with self._redis.pipeline(transaction=True) as pipe:
            await pipe.watch(self._key)
            kind: Any = await pipe.type(self._key)
            encoding = encoding_of(kind)
            content = await encoding.read(pipe, self._key)
            foreign = {name: entry for name, entry in content.items() if not _is_ours(entry)}
            gone = [name for name, entry in content.items() if await self._is_to_go(name, entry, entries)]
            mine = {name: self._stamped(entry) for name, entry in entries.items() if name not in foreign}
            if gone or mine:
                pipe.multi()  # type: ignore[no-untyped-call]  # the library's own gap
                encoding.write(pipe, self._key, content, mine, gone)
                # A full server takes no entries; what others have registered is known all the same.
                with contextlib.suppress(OutOfMemoryError):
                    await pipe.execute()
        return foreign

    async def _is_to_go(self, name: str, entry: Entry | None, entries: Mapping[str, Entry]) -> bool:
        if entry is None or not _is_ours(entry) or name in entries:
            return False
        bridge = entry.get("bridge")
        # JSON may hold lone surrogates, which no command can carry.
        is_name = isinstance(bridge, str) and bridge == bridge.encode(errors="replace").decode()
        return bridge == self._bridge or not is_name or not await self._is_alive(str(bridge))

    def _stamped(self, entry: Entry) -> bytes:
        return orjson.dumps({**entry, "bridge": self._bridge, "heartbeat_s": round(time.time(), 3)})

    def _warn(self, reason: str) -> None:
        if reason != self._reason:
            logger.warning("the registry key %r is not used: %s", self._key, reason)
        self._reason = reason


def _is_ours(entry: Entry | None) -> bool:
    return entry is not None and entry.get("server") == SERVER
