"""A real Valkey for each test, emptied before it and searched for leaks after it."""

import contextlib
import dataclasses
import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path

import pytest
from redis.asyncio import Redis

from redis_bridge import keys
from redis_bridge.bridge import Bridge
from redis_bridge.client.bulk_read import BulkReader
from redis_bridge.client.connection import connect, connected
from redis_bridge.metrics import NoRecorder, Recorder
from redis_bridge.server.valkey_process import ValkeyProcess, ValkeySettings
from redis_bridge.settings import BridgeSettings
from serve_app.launcher.processes.ports import free_ports
from tests.redis_bridge.fakes import FAST, MODEL, QUEUE, Client, FakeCatalogue, FakeModel, model
from tests.redis_bridge.redis_servers import server, wait_until_it_answers

OWNED = re.compile(
    "|".join(
        re.escape(key)
        for key in (
            *(keys.BRIDGES, keys.DEAD_LETTERS, keys.DEAD_LETTERS_SEEN, keys.REGISTERED, FAST.registry_key),
            *(keys.VECTOR_PROJECTS, keys.VECTOR_VERSIONS, keys.vectors("testproject")),
        )
    )
)

ROOT = Path(__file__).parents[2]

StartBridge = Callable[..., AbstractAsyncContextManager[Bridge]]


def free_port() -> int:
    """A TCP port on 127.0.0.1 that nobody has now, nor gets by chance."""
    [port] = free_ports(1)
    return port


OTHER_SERVER = "FATHOM_TEST_REDIS_SERVER"
"""Environment variable with the path of another Redis or Valkey, of any version, to run these tests against."""


@dataclass(frozen=True, slots=True)
class OtherServer:
    """Stands in for the Valkey of the wheel."""

    address: str


@pytest.fixture(scope="session")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ValkeyProcess | OtherServer]:
    """One server for all tests."""
    folder, port = tmp_path_factory.mktemp("valkey"), free_port()
    if executable := os.environ.get(OTHER_SERVER):
        with server(folder, f"port {port}", 'save ""', executable=executable):
            address = f"redis://127.0.0.1:{port}/0"
            wait_until_it_answers(address)
            yield OtherServer(address)
        return
    process = ValkeyProcess(ValkeySettings(port, folder))
    process.start()
    yield process
    process.stop()


class BridgeProcesses:
    """Bridges in processes of their own; see bridge_process.py."""

    def __init__(self, parent: "subprocess.Popen[str]") -> None:
        self._parent = parent

    def start(self, url: str, queue: str, point: str, notes: Path | str = "") -> int:
        """The process id of a new bridge. notes: file for the keys of all answers that it is about to write."""
        return self._ask(f"start {url} {queue} {point} {notes}")

    def ending(self, pid: int) -> int:
        """How this bridge ended, once it has: minus the number of the signal."""
        return self._ask(f"wait {pid}")

    def kill(self, pid: int) -> None:
        """SIGKILL; the process is gone afterwards."""
        os.kill(pid, signal.SIGKILL)
        assert self.ending(pid) == -signal.SIGKILL

    def _ask(self, command: str) -> int:
        assert self._parent.stdin
        assert self._parent.stdout
        self._parent.stdin.write(f"{command}\n")
        self._parent.stdin.flush()
        return int(self._parent.stdout.readline())


@pytest.fixture(scope="session")
def bridges() -> Iterator[BridgeProcesses]:
    """The parent of all bridges that are processes."""
    with subprocess.Popen(
        [sys.executable, "-m", "tests.redis_bridge.bridge_process"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as parent:
        try:
            yield BridgeProcesses(parent)
            parent.communicate(timeout=10)
        finally:
            parent.kill()


@pytest.fixture
async def redis(valkey: ValkeyProcess) -> AsyncIterator[Redis]:
    """A client of an empty server. After the test every key must have an expiry, or an owner in the key table."""
    client = connect(valkey.address, longest_block_s=1)
    await client.flushall()
    yield client
    try:
        leaks = [
            key
            async for raw in client.scan_iter()
            if await client.ttl(key := raw.decode()) == -1 and not OWNED.fullmatch(key) and not is_queue(key)
        ]
        assert not leaks, f"keys without expiry and owner: {leaks}"
    finally:
        await client.aclose()


def is_queue(key: str) -> bool:
    """Whether `key` is a queue, which belongs to its producers."""
    return key.startswith(("image_queue", "other_queue")) and ":" not in key


@pytest.fixture
def catalogue() -> FakeCatalogue:
    """One model, ready, which answers for QUEUE."""
    return FakeCatalogue(model(MODEL, QUEUE))


@pytest.fixture
async def predict() -> FakeModel:
    """The model itself."""
    return FakeModel()


@pytest.fixture
def client(redis: Redis) -> Client:
    """A legacy client of QUEUE."""
    return Client(redis)


@pytest.fixture
def start_bridge(valkey: ValkeyProcess, predict: FakeModel, catalogue: FakeCatalogue) -> StartBridge:
    """`async with start_bridge(settings=...)`: a bridge of its own connection, stopped at the end."""

    @contextlib.asynccontextmanager
    async def start(
        settings: BridgeSettings = FAST,
        url: str = valkey.address,
        recorder: Recorder | None = None,
        drain_s: float = 5.0,
        wrap: Callable[[BulkReader], BulkReader] = lambda bulk: bulk,
    ) -> AsyncIterator[Bridge]:
        async with connected(url, settings.longest_block_s) as connections:
            assert connections.bulk
            wrapped = dataclasses.replace(connections, bulk=wrap(connections.bulk))
            bridge = Bridge(wrapped, predict, catalogue, settings, recorder or NoRecorder())
            bridge.start()
            try:
                yield bridge
                bridge.check()
            finally:
                await bridge.stop(drain_s)

    return start


@pytest.fixture
def own_valkey(tmp_path: Path) -> Iterator[ValkeyProcess]:
    """A server that the test may kill, not started yet."""
    process = ValkeyProcess(ValkeySettings(free_port(), tmp_path / "valkey", start_timeout_s=20))
    yield process
    process.stop()
