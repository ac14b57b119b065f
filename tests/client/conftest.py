"""The fake server behind a real socket, and clients that do not wait long."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from fathom_client import Client, Retry
from tests.client.fake_server import Door, FakeServer, open_door

SOON = Retry(attempts=4, total_s=5, pause_s=0.001, longest_pause_s=0.002)


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("FATHOM_URL", "FATHOM_API_KEY", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture(scope="session")
def door() -> Iterator[Door]:
    with open_door() as one:
        yield one


@pytest.fixture
def server(door: Door, monkeypatch: pytest.MonkeyPatch) -> FakeServer:
    fake = FakeServer()
    door.app = fake.app()
    monkeypatch.setenv("FATHOM_URL", door.address)
    return fake


@pytest.fixture
def client(server: FakeServer) -> Iterator[Client]:
    with Client(retry=SOON) as one:
        yield one


@pytest.fixture
def frames(tmp_path: Path) -> Path:
    """A folder of frames 10.jpg to 15.jpg, whose fish have scores of 0.10 to 0.15."""
    folder = tmp_path / "frames"
    folder.mkdir()
    for number in range(10, 16):
        (folder / f"{number}.jpg").write_bytes(str(number).encode())
    return folder
