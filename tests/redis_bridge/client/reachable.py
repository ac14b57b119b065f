"""Whether a Redis at an address answers, and whether a bridge serves jobs there."""

from redis_bridge.client.connection import REDIS_ERRORS, connect
from redis_bridge.client.urls import close_client
from tests.redis_bridge.conftest import StartBridge
from tests.redis_bridge.fakes import Client, eventually, legacy_answer


async def serves(url: str, start_bridge: StartBridge) -> None:
    """A job goes through a bridge at `url` and back."""
    redis = connect(url, longest_block_s=1)
    await eventually(lambda: pings(redis), within_s=10)
    async with start_bridge(url=url):
        client = Client(redis)
        assert await client.answer(await client.push((1, 2, 64)), within_s=10) == legacy_answer((1, 2, 64))
    await close_client(redis)


async def pings(redis: object) -> bool:
    try:
        return bool(await redis.ping())  # type: ignore[attr-defined]
    except REDIS_ERRORS:
        return False
