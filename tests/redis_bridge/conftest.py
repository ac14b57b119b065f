"""A real Valkey for each test, emptied before it and searched for leaks after it."""

import contextlib
import re
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest
from redis.asyncio import Redis

from redis_bridge import keys
from redis_bridge.bridge import Bridge
from redis_bridge.connection import connect
from redis_bridge.metrics import NoRecorder, Recorder
from redis_bridge.settings import BridgeSettings
from redis_bridge.valkey_process import ValkeyProcess, ValkeySettings
from tests.redis_bridge.fakes import FAST, MODEL, QUEUE, Client, FakeCatalogue, FakeModel, model

OWNED = re.compile(
    "|".join(
        re.escape(key)
        for key in (keys.BRIDGES, keys.DEAD_LETTERS, keys.DEAD_LETTERS_SEEN, keys.REGISTERED, FAST.registry_key)
    )
)

StartBridge = Callable[..., AbstractAsyncContextManager[Bridge]]


def free_port() -> int:
    """A TCP port on 127.0.0.1 that nobody has now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@pytest.fixture(scope="session")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ValkeyProcess]:
    """One server for all tests."""
    process = ValkeyProcess(ValkeySettings(free_port(), tmp_path_factory.mktemp("valkey")))
    process.start()
    yield process
    process.stop()


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
    return key.startswith(("image_queue", "other_queue"))


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
    ) -> AsyncIterator[Bridge]:
        client = connect(url, settings.longest_block_s)
        bridge = Bridge(client, predict, catalogue, settings, recorder or NoRecorder())
        bridge.start()
        try:
            yield bridge
            bridge.check()
        finally:
            await bridge.stop(drain_s)
            await client.aclose()

    return start


@pytest.fixture
def own_valkey(tmp_path: Path) -> Iterator[ValkeyProcess]:
    """A server that the test may kill, not started yet."""
    process = ValkeyProcess(ValkeySettings(free_port(), tmp_path / "valkey", start_timeout_s=20))
    yield process
    process.stop()
