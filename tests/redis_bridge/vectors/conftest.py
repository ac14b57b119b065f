"""Vectors kept in a real Valkey, by one bridge and by another."""

from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from redis_bridge.vectors.keeper import VectorKeeper


@pytest.fixture
async def keeper(redis: Redis) -> AsyncIterator[VectorKeeper]:
    kept = VectorKeeper(redis)
    yield kept
    await kept.stop()


@pytest.fixture
async def other(redis: Redis) -> AsyncIterator[VectorKeeper]:
    """That of another bridge."""
    kept = VectorKeeper(redis)
    yield kept
    await kept.stop()
