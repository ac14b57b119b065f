"""A running gateway to external workers."""

from collections.abc import AsyncIterator

import pytest
from redis.asyncio import Redis

from redis_bridge.external.gateway import ExternalGateway
from redis_bridge.server.valkey_process import ValkeyProcess
from tests.redis_bridge.external.gateways import gateway_at


@pytest.fixture
async def gateway(valkey: ValkeyProcess, redis: Redis) -> AsyncIterator[ExternalGateway]:
    del redis  # Emptied first, and searched for leaks after.
    async with gateway_at(valkey.address) as started:
        yield started
