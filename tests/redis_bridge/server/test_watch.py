"""The bridge knows whether Redis takes writes, says why not, and notices when it does again."""

import contextlib
import os
import shutil
import signal
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from redis_bridge.bridge import Bridge
from redis_bridge.client.connection import REDIS_ERRORS, connect
from redis_bridge.client.urls import close_client
from redis_bridge.server.watch import WRITE_TIMEOUT_S
from tests.redis_bridge.conftest import StartBridge, free_port
from tests.redis_bridge.fakes import eventually
from tests.redis_bridge.redis_servers import server, wait_until_it_answers


class Machine:
    """A server of the test's own, and a client of it."""

    def __init__(self, redis: Redis, folder: Path, pid: int) -> None:
        self.redis, self.folder, self.pid = redis, folder, pid

    async def fill(self) -> None:
        await self.redis.config_set("maxmemory", 1)

    async def empty(self) -> None:
        await self.redis.config_set("maxmemory", 0)

    async def lose_the_disk(self) -> None:
        """Its folder goes, so that no snapshot can be written."""
        shutil.rmtree(self.folder)
        await self.redis.config_set("save", "1 1")
        with contextlib.suppress(*REDIS_ERRORS):
            await self.redis.bgsave()
        await eventually(self._has_failed_to_save)

    async def _has_failed_to_save(self) -> bool:
        return (await self.redis.info("persistence"))["rdb_last_bgsave_status"] != "ok"

    async def find_the_disk(self) -> None:
        await self.redis.config_set("stop-writes-on-bgsave-error", "no")

    async def become_a_replica(self) -> None:
        await self.redis.replicaof("127.0.0.1", free_port())

    async def become_the_master(self) -> None:
        await self.redis.replicaof("NO", "ONE")

    async def freeze(self) -> None:
        os.kill(self.pid, signal.SIGSTOP)

    async def thaw(self) -> None:
        os.kill(self.pid, signal.SIGCONT)


@pytest.fixture
async def machine(tmp_path: Path) -> AsyncIterator[Machine]:
    port = free_port()
    with server(tmp_path / "redis", f"port {port}", 'save ""') as process:
        address = f"redis://127.0.0.1:{port}/0"
        wait_until_it_answers(address)
        client = connect(address, longest_block_s=1)
        yield Machine(client, tmp_path / "redis", process.pid)
        await close_client(client)


def address_of(machine: Machine) -> str:
    return f"redis://127.0.0.1:{machine.redis.connection_pool.connection_kwargs['port']}/0"


async def is_told(bridge: Bridge, words: str, within_s: float = 3.0) -> float:
    """Seconds until the bridge says so."""
    started_s = time.monotonic()
    await eventually(lambda: words in bridge.redis_reason, within_s)
    return time.monotonic() - started_s


@pytest.mark.parametrize(
    ("breaks", "heals", "words"),
    [
        (Machine.fill, Machine.empty, "Redis is full (maxmemory, noeviction)"),
        (Machine.lose_the_disk, Machine.find_the_disk, "cannot save to its disk and refuses all writes (MISCONF)"),
        (Machine.become_a_replica, Machine.become_the_master, "it is a replica"),
        (Machine.freeze, Machine.thaw, "Redis has not answered a write for"),
    ],
)
async def test_a_server_that_takes_no_writes_is_told_and_so_is_its_recovery(
    machine: Machine, start_bridge: StartBridge, breaks: object, heals: object, words: str
) -> None:
    async with start_bridge(url=address_of(machine)) as bridge:
        await eventually(lambda: not bridge.redis_reason)
        await breaks(machine)  # type: ignore[operator]
        assert await is_told(bridge, words, WRITE_TIMEOUT_S + 3) < WRITE_TIMEOUT_S + 2
        await heals(machine)  # type: ignore[operator]
        await eventually(lambda: not bridge.redis_reason)


async def test_a_server_that_is_stopped_or_never_was_is_told(machine: Machine, start_bridge: StartBridge) -> None:
    async with start_bridge(url=address_of(machine)) as bridge:
        await eventually(lambda: not bridge.redis_reason)
        os.kill(machine.pid, signal.SIGKILL)
        await is_told(bridge, "Redis cannot be reached")
    async with start_bridge(url=f"redis://127.0.0.1:{free_port()}/0") as bridge:
        assert bridge.redis_reason == "Redis has not been reached yet"
        await is_told(bridge, "Redis cannot be reached: Error 111 connecting to 127.0.0.1")


async def test_a_wrong_password_is_told_without_it(tmp_path: Path, start_bridge: StartBridge) -> None:
    port = free_port()
    with server(tmp_path, f"port {port}", "requirepass right", 'save ""'):
        wait_until_it_answers(f"redis://:right@127.0.0.1:{port}/0")
        async with start_bridge(url=f"redis://:wr0ng@127.0.0.1:{port}/0") as bridge:
            await is_told(bridge, "Redis refuses the user or the password of REDIS_URL")
            assert "wr0ng" not in bridge.redis_reason
