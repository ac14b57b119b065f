"""A command waits for a free connection, for a bounded time."""

import asyncio
import os
import signal

import pytest
from redis.exceptions import TimeoutError as RedisTimeoutError

from redis_bridge.bridge import Bridge
from redis_bridge.client.connection import Connections
from redis_bridge.client.urls import close_client, open_client
from redis_bridge.server.valkey_process import ValkeyProcess
from tests.redis_bridge.fakes import FAST, FakeCatalogue, FakeModel, eventually


async def test_a_command_that_gets_no_connection_in_time_fails_in_words(valkey: ValkeyProcess) -> None:
    client = open_client(valkey.address, max_connections=1, socket_timeout=0.1)
    held = await client.connection_pool.get_connection()
    with pytest.raises(RedisTimeoutError, match=r"none of 1 connections to Redis became free within 0\.1 s"):
        await asyncio.wait_for(client.ping(), 5)
    await client.connection_pool.release(held)
    assert await client.ping()
    await close_client(client)


async def test_a_stop_ends_in_time_although_redis_is_silent_and_all_connections_are_taken(
    own_valkey: ValkeyProcess, predict: FakeModel, catalogue: FakeCatalogue
) -> None:
    own_valkey.start()
    pid = own_valkey.living_pid()
    assert pid
    client = open_client(own_valkey.address, max_connections=1, socket_timeout=0.5)
    bridge = Bridge(Connections(client), predict, catalogue, FAST)
    bridge.start()
    await eventually(lambda: bridge.queues)
    held = await client.connection_pool.get_connection()
    os.kill(pid, signal.SIGSTOP)
    try:
        async with asyncio.timeout(10):
            await bridge.stop(drain_s=0.1)
    finally:
        os.kill(pid, signal.SIGCONT)
    await client.connection_pool.release(held)
    await close_client(client)
