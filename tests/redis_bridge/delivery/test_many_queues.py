"""Each queue is waited for on a connection of its own: many of them, and a server without room for them."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Connection, Redis

from redis_bridge import keys
from redis_bridge.client.connection import REDIS_ERRORS, connect
from redis_bridge.client.pools import BoundedPool
from redis_bridge.client.urls import close_client, open_client
from redis_bridge.server.valkey_process import ValkeyProcess
from redis_bridge.settings import BridgeSettings
from tests.redis_bridge.conftest import StartBridge, free_port
from tests.redis_bridge.fakes import Client, FakeCatalogue, eventually, legacy_answer, model
from tests.redis_bridge.redis_servers import server, wait_until_it_answers

SETTINGS = BridgeSettings(heartbeat_s=0.5, longest_block_s=2, takeover_after_s=8)
MORE_THAN_ONE_POOL = 101
"""redis-py's own pool has 100 connections."""


def names(count: int) -> list[str]:
    return [f"image_queue_{number}" for number in range(count)]


async def all_are_answered(redis: Redis, queues: list[str]) -> None:
    clients = [Client(redis, queue) for queue in queues]
    ids = [await client.push((10 + number % 200, 20, 128)) for number, client in enumerate(clients)]
    for number, (client, job_id) in enumerate(zip(clients, ids, strict=True)):
        assert await client.answer(job_id, within_s=60) == legacy_answer((10 + number % 200, 20, 128))


@pytest.mark.parametrize("count", [120, 300])
async def test_every_one_of_many_queues_is_served_and_the_heart_beats_meanwhile(
    redis: Redis,
    start_bridge: StartBridge,
    catalogue: FakeCatalogue,
    valkey: ValkeyProcess,
    caplog: pytest.LogCaptureFixture,
    count: int,
) -> None:
    catalogue.shown = tuple(model(f"model-{queue}", queue) for queue in names(count))
    with caplog.at_level(logging.WARNING):
        async with start_bridge(SETTINGS) as bridge:
            await eventually(lambda: len(bridge.queues) == count, 20)
            await eventually(lambda: are_waited_for(redis), 30)
            for _ in range(2):
                await all_are_answered(redis, names(count))
            shortest_ms = await redis.pttl(keys.heartbeat(bridge.bridge_id))
            assert shortest_ms > 1000 * (SETTINGS.takeover_after_s / 2)
    assert "trying again" not in caplog.text


async def are_waited_for(redis: Redis) -> bool:
    facts = await redis.info("clients")
    return int(facts["blocked_clients"]) >= MORE_THAN_ONE_POOL


async def test_a_server_without_room_for_all_queues_is_named_and_loses_nothing(
    start_bridge: StartBridge, catalogue: FakeCatalogue, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    port = free_port()
    address = f"redis://127.0.0.1:{port}/0"
    catalogue.shown = tuple(model(f"model-{queue}", queue) for queue in names(120))
    with server(tmp_path, f"port {port}", "maxclients 90", 'save ""'):
        wait_until_it_answers(address)
        redis = connect(address, longest_block_s=1)
        await redis.ping()
        with caplog.at_level(logging.WARNING):
            async with start_bridge(SETTINGS, url=address) as bridge:
                await eventually(lambda: "Redis takes 90 clients at once (maxclients)" in caplog.text, 20)
                await all_are_answered(redis, names(120))
                assert await redis.exists(keys.heartbeat(bridge.bridge_id))
        assert "this bridge needs up to 188: one for each of its 120 queues and 68 more" in caplog.text
        assert await redis.llen(keys.DEAD_LETTERS) == 0
        await close_client(redis)


@pytest.fixture
async def two_connections(valkey: ValkeyProcess) -> AsyncIterator[Redis]:
    client = open_client(valkey.address, max_connections=2, client_name="two")
    yield client
    await close_client(client)


async def test_commands_wait_for_a_free_connection_and_none_is_refused(redis: Redis, two_connections: Redis) -> None:
    slow = [two_connections.blmove("image_queue_a", "image_queue_b", 0.1, "LEFT", "RIGHT") for _ in range(4)]  # type: ignore[arg-type]
    quick = [two_connections.set(f"key-{number}", number, ex=10) for number in range(100)]
    assert (await asyncio.gather(*slow, *quick))[4:] == [True] * 100
    assert len([one for one in await redis.client_list() if one["name"] == "two"]) <= 2
    assert await two_connections.get("key-99") == b"99"


async def test_one_who_leaves_while_it_waits_takes_nobody_elses_turn(redis: Redis, two_connections: Redis) -> None:
    held = [await two_connections.connection_pool.get_connection() for _ in range(2)]
    waiting = [asyncio.create_task(two_connections.ping()) for _ in range(5)]
    await eventually(lambda: len(two_connections.connection_pool._waiting) == 5)  # type: ignore[attr-defined]
    waiting[0].cancel()
    await two_connections.connection_pool.release(held[0])
    # It was just told that a connection is free, and leaves all the same.
    waiting[1].cancel()
    assert await asyncio.wait_for(asyncio.gather(*waiting[2:]), 5) == [True] * 3
    await two_connections.connection_pool.release(held[1])
    assert await two_connections.ping()


async def test_a_connection_that_cannot_be_made_is_given_back() -> None:
    client = open_client(f"redis://127.0.0.1:{free_port()}/0", max_connections=1)
    for _ in range(3):
        with pytest.raises(REDIS_ERRORS):
            await asyncio.wait_for(client.ping(), 5)
    await close_client(client)


class Unclosable(Connection):
    """Closing it fails, as of one whose other end has gone without a word."""

    async def disconnect(self, *args: Any, **options: Any) -> None:
        await super().disconnect(*args, **options)
        raise TimeoutError("the connection cannot be closed")


async def test_who_waits_goes_on_when_a_connection_dies_as_it_is_given_back(valkey: ValkeyProcess) -> None:
    pool = BoundedPool.from_url(valkey.address, max_connections=1, connection_class=Unclosable)
    first = await pool.get_connection()
    waiting = asyncio.ensure_future(pool.get_connection())
    await asyncio.sleep(0)
    first.mark_for_reconnect()
    with contextlib.suppress(TimeoutError):
        await pool.release(first)
    async with asyncio.timeout(5):
        second = await waiting
    with contextlib.suppress(TimeoutError):
        await second.disconnect()
