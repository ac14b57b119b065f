"""What a Redis server must be for the bridge to work with it."""

from typing import Any

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from redis_bridge.server.permissions import forbidden_commands

MIN_VERSION = (6, 2)
"""The first with BLMOVE, without which a job could be lost between two commands."""


class UnsupportedServer(RuntimeError):
    """This server can never work; the message says why and what to do."""


async def refuse_unsupported(redis: Redis) -> None:
    """Raises UnsupportedServer, or what connection.REDIS_ERRORS lists when the server cannot be asked.

    A user who may not call INFO is believed, but not one who may not call what jobs need.
    """
    try:
        facts: dict[str, Any] = await redis.info("server")
    except ResponseError:
        facts = {}
    mode = str(facts.get("redis_mode") or facts.get("server_mode") or "standalone")
    if mode == "cluster":
        raise UnsupportedServer(
            "Redis Cluster is not supported: a job's queue, lease and answer are changed in one transaction, "
            "and a cluster keeps them on different nodes; use one server, or Sentinel for a standby"
        )
    if mode == "sentinel":
        raise UnsupportedServer(
            "this is a Sentinel, not a Redis server; its address begins with redis+sentinel:// and ends with "
            "the name of the service"
        )
    version = str(facts.get("redis_version", ""))
    if _numbers(version) < MIN_VERSION:
        raise UnsupportedServer(f"Redis {version} is too old: 6.2 or later, or Valkey, is needed")
    if forbidden := await forbidden_commands(redis):
        raise UnsupportedServer(
            f"this Redis does not allow us to call {', '.join(forbidden)}: jobs would leave their queues and "
            "never be answered; allow them to the user of REDIS_URL (ACL SETUSER, on all keys), or use a server that "
            "has them"
        )


def _numbers(version: str) -> tuple[int, ...]:
    """The first two numbers of a version; a version without any counts as new."""
    numbers = [int(part) for part in version.split(".")[:2] if part.isdecimal()]
    return tuple(numbers) or MIN_VERSION
