"""Servers that cannot hold jobs safely are refused in words, or warned of."""

from pathlib import Path

import pytest
from redis.asyncio import Redis

from redis_bridge.client.connection import connect
from redis_bridge.server.requirements import UnsupportedServer, refuse_unsupported
from tests.redis_bridge.client.reachable import pings, serves
from tests.redis_bridge.conftest import StartBridge, free_port
from tests.redis_bridge.fakes import eventually, is_dead
from tests.redis_bridge.redis_servers import server


def free_port_of_a_cluster() -> int:
    """Below 55,536, as the servers of a cluster talk to each other 10,000 above it."""
    while (port := free_port()) > 55_535:
        pass
    return port


async def test_a_cluster_is_refused_in_words(tmp_path: Path, start_bridge: StartBridge) -> None:
    port = free_port_of_a_cluster()
    with server(tmp_path, f"port {port}", "cluster-enabled yes", 'save ""'):
        client = connect(f"redis://127.0.0.1:{port}/0", longest_block_s=1)
        await eventually(lambda: pings(client), within_s=10)
        with pytest.raises(UnsupportedServer, match=r"Redis Cluster is not supported: .*; use one server"):
            await refuse_unsupported(client)
        await client.aclose()
        with pytest.raises(RuntimeError, match="Redis Cluster is not supported"):
            async with start_bridge(url=f"redis://127.0.0.1:{port}/0") as bridge:
                await eventually(lambda: is_dead(bridge))


async def test_a_sentinel_taken_for_a_server_is_refused_in_words(tmp_path: Path) -> None:
    port = free_port()
    with server(tmp_path, f"port {port}", sentinel=True):
        client = connect(f"redis://127.0.0.1:{port}/0", longest_block_s=1)
        await eventually(lambda: pings(client), within_s=10)
        with pytest.raises(UnsupportedServer, match=r"its address begins with redis\+sentinel://"):
            await refuse_unsupported(client)
        await client.aclose()


class OldServer:
    """Says of itself what an old server says; none can be had as a package."""

    def __init__(self, version: str, redis: Redis) -> None:
        self.version = version
        self.pipeline = redis.pipeline

    async def info(self, section: str) -> dict[str, str]:
        return {"redis_mode": "standalone", "redis_version": self.version} if section == "server" else {}


async def test_a_server_without_blmove_is_refused_in_words(redis: Redis) -> None:
    with pytest.raises(UnsupportedServer, match=r"Redis 6\.0\.16 is too old: 6\.2 or later, or Valkey"):
        await refuse_unsupported(OldServer("6.0.16", redis))  # type: ignore[arg-type]
    for version in ("6.2.5", "7.2.4", "10.0.0", ""):
        await refuse_unsupported(OldServer(version, redis))  # type: ignore[arg-type]


async def test_a_server_that_evicts_is_warned_of_loudly(
    tmp_path: Path, start_bridge: StartBridge, caplog: pytest.LogCaptureFixture
) -> None:
    port = free_port()
    with server(tmp_path, f"port {port}", "maxmemory 100mb", "maxmemory-policy allkeys-lru", 'save ""'):
        await serves(f"redis://127.0.0.1:{port}/0", start_bridge)
    [warning] = [record.message for record in caplog.records if "maxmemory-policy allkeys-lru" in record.message]
    assert "may drop whole queues with all jobs in them" in warning
