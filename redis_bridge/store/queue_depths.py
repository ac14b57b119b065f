"""How many jobs wait in Redis."""

from collections.abc import Sequence

from redis.asyncio import Redis


async def queue_depths(redis: Redis, queues: Sequence[str]) -> dict[str, int]:
    """Jobs that wait in each of `queues`, asked for together; without those whose key is not a list. Raises what
    connection.REDIS_ERRORS lists."""
    async with redis.pipeline(transaction=False) as pipe:
        for queue in queues:
            pipe.llen(queue)
        found = await pipe.execute(raise_on_error=False)
    return {queue: waiting for queue, waiting in zip(queues, found, strict=True) if isinstance(waiting, int)}
