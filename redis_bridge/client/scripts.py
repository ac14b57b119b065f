"""Scripts that also run on a full Redis.

A Redis that has reached its `maxmemory` refuses every command that may need memory, also those that in the end free
it, as taking a job and answering it do. A script may be let through by a flag, which servers know since Redis 7.0.
"""

from collections.abc import Sequence
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import ResponseError

ALLOW_OOM = "#!lua flags=allow-oom\n"
"""First line of a script: https://redis.io/docs/latest/develop/programmability/lua-api/#script-flags."""


class Script:
    """One script, by EVALSHA. On a server that does not know the flag it is run without, and refused while that
    server is full."""

    def __init__(self, redis: Redis, text: str) -> None:
        self._flagged = redis.register_script(ALLOW_OOM + text)
        self._plain = redis.register_script(text)
        self._knows_flags = True

    async def __call__(self, keys: Sequence[Any] = (), args: Sequence[Any] = ()) -> Any:
        """The script's answer. Raises what connection.REDIS_ERRORS lists."""
        if self._knows_flags:
            try:
                return await self._flagged(keys=keys, args=args)
            except ResponseError as error:
                if "compiling script" not in str(error) or "#" not in str(error):
                    raise
                self._knows_flags = False
        return await self._plain(keys=keys, args=args)
