"""Whether a server carries out the commands that jobs need: tried on keys of its own.

A server, a proxy before it or an access list may forbid any of them. Then jobs would leave their queues and never be
answered, so it is found out before the first one is taken.
"""

import hashlib
import secrets
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import NoPermissionError, OutOfMemoryError, ResponseError

from redis_bridge import keys

_SCRIPT = "return 1"
_SECONDS = 60


async def forbidden_commands(redis: Redis) -> list[str]:
    """The commands that this user may not call on this server, and the bridge needs. Raises what
    connection.REDIS_ERRORS lists when that cannot be found out."""
    async with redis.pipeline(transaction=False) as pipe:
        commands = _commands(keys.PREFIX + "check:" + secrets.token_hex(6))
        for command in commands:
            pipe.execute_command(*command)
        answers: list[Any] = await pipe.execute(raise_on_error=False)
    forbidden: dict[str, None] = {}
    for command, answer in zip(commands, answers, strict=True):
        if isinstance(answer, Exception) and _is_refusal(answer):
            forbidden[command[0]] = None
        elif isinstance(answer, Exception) and not isinstance(answer, ResponseError):
            raise answer
    return [*forbidden, *await _forbidden_in_transactions(redis)]


async def _forbidden_in_transactions(redis: Redis) -> list[str]:
    """The library sends these itself, by its own rules."""
    key = keys.PREFIX + "check"
    async with redis.pipeline(transaction=True) as pipe:
        calling = "WATCH"
        try:
            await pipe.watch(key)
            calling = "MULTI and EXEC"
            pipe.multi()  # type: ignore[no-untyped-call]  # the library's own gap
            pipe.exists(key)
            await pipe.execute()
        except ResponseError as error:
            return [calling] if _is_refusal(error) else []
    return []


def _is_refusal(error: Exception) -> bool:
    """Whether the server will never carry the command out. A full server does most of them later, or in a script."""
    if isinstance(error, OutOfMemoryError):
        return False
    text = str(error).lower()
    words = ("unknown command", "unknown subcommand", "without multi")
    return isinstance(error, NoPermissionError) or any(word in text for word in words)


def _commands(scratch: str) -> list[tuple[Any, ...]]:
    """One call of each, on keys that are gone afterwards."""
    queue, slot, text, table, members, moved = (f"{scratch}:{number}" for number in range(6))
    sha = hashlib.sha1(_SCRIPT.encode(), usedforsecurity=False).hexdigest()
    return [
        ("SCRIPT LOAD", _SCRIPT),
        ("EVALSHA", sha, 0),
        ("RPUSH", queue, "job"),
        ("LPUSH", queue, "job"),
        ("EXPIRE", queue, _SECONDS),
        ("LTRIM", queue, 0, 0),
        ("LRANGE", queue, 0, 0),
        ("LLEN", queue),
        ("LMOVE", queue, slot, "LEFT", "RIGHT"),
        ("BLMOVE", slot, queue, "LEFT", "RIGHT", 0.01),
        ("RENAME", queue, moved),
        ("SET", text, "answer", "EX", _SECONDS),
        ("GET", text),
        ("STRLEN", text),
        ("TTL", text),
        ("TYPE", text),
        ("EXISTS", text),
        ("INCR", scratch),
        ("EXPIRE", scratch, _SECONDS),
        ("HSET", table, "field", "value"),
        ("HGET", table, "field"),
        ("HMGET", table, "field"),
        ("HGETALL", table),
        ("HDEL", table, "field"),
        ("SADD", members, "member"),
        ("SMEMBERS", members),
        ("SREM", members, "member"),
        ("SCAN", 0, "MATCH", scratch, "COUNT", 1),
        ("TIME",),
        ("DEL", scratch, queue, slot, text, table, members, moved),
    ]
