"""Addresses of a Redis: password, user, socket, database and options, and no password ever shown."""

import logging
import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest

from redis_bridge.__main__ import main
from redis_bridge.client.connection import connect
from redis_bridge.client.urls import open_client, without_password
from tests.redis_bridge.client.reachable import pings, serves
from tests.redis_bridge.conftest import StartBridge, free_port
from tests.redis_bridge.fakes import eventually
from tests.redis_bridge.redis_servers import server

PASSWORD = "s3cret word"
USERS = f"user fathom on >{PASSWORD.replace(' ', '-')} ~* &* +@all -info"


@pytest.fixture
def secured(tmp_path: Path) -> Iterator[tuple[int, Path]]:
    """Port and Unix socket of a server with a password, and with a user who may do all but INFO."""
    port, unix_socket = free_port(), tmp_path / "valkey.sock"
    with server(tmp_path, f"port {port}", f"unixsocket {unix_socket}", f'requirepass "{PASSWORD}"', 'save ""', USERS):
        yield port, unix_socket


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
    await serves(form.format(port=secured[0], socket=secured[1]), start_bridge)


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


@pytest.mark.parametrize("url", ["redis+sentinel://:secret@host:1", "redis+sentinel:///service", "http://:secret@x"])
def test_an_address_that_is_none_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(ValueError, match="must") as raised:
        open_client(url)
    assert "secret" not in str(raised.value)


def test_options_of_sentinels_and_of_the_server_are_told_apart() -> None:
    url = (
        "rediss+sentinel://me:pass@[::1]:7001,other/service/2"
        "?ssl_ca_certs=/ca.pem&sentinel_username=guard&sentinel_password=word"
    )
    client = open_client(url, socket_timeout=3)
    pool = client.connection_pool
    of_server = pool.connection_kwargs
    assert pool.service_name == "service"
    assert (of_server["username"], of_server["password"], of_server["db"]) == ("me", "pass", 2)
    assert (of_server["ssl_ca_certs"], of_server["socket_timeout"]) == ("/ca.pem", 3)
    first, second = [each.connection_pool.connection_kwargs for each in pool.sentinel_manager.sentinels]
    assert (first["host"], first["port"], second["host"], second["port"]) == ("::1", 7001, "other", 26379)
    assert (first["username"], first["password"], first["ssl_ca_certs"]) == ("guard", "word", "/ca.pem")
    assert "db" not in first or first["db"] == 0
    assert without_password(url) == "rediss+sentinel://[::1]:7001,other/service/2"


@pytest.mark.parametrize("url", ["redis://127.0.0.1:1/0?sokcet_timeout=3", "unix:///tmp/a.sock?databse=1"])
def test_an_option_that_nobody_knows_is_refused_at_once(url: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match=r"has an option that is not known: .*'(sokcet_timeout|databse)'"):
        open_client(url)
    assert main(["dead-letters", "--url", url, "list"]) == 2
    assert "has an option that is not known" in capsys.readouterr().err


SECRET = "s3cret"


@pytest.mark.parametrize(
    "url",
    [
        "redis://:{}/x@127.0.0.1:{}/0",
        "redis://:x/{}@127.0.0.1:{}/0",
        "redis://:{}?x@127.0.0.1:{}/0",
        "redis://:{}#x@127.0.0.1:{}/0",
        "redis+sentinel://:{}/x@127.0.0.1:{}/service",
        "redis://127.0.0.1/0?password={}@x&port={}",
        "{}://127.0.0.1:{}",
    ],
)
def test_an_address_with_a_password_that_is_written_wrongly_is_refused_without_it(
    url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    address = url.format(SECRET, free_port())
    with pytest.raises(ValueError, match=r"must be written as %2F|must begin with") as refused:
        open_client(address)
    assert SECRET not in "".join(traceback.format_exception(refused.value))
    assert main(["dead-letters", "--url", address, "list"]) == 2
    said = capsys.readouterr().err
    assert SECRET not in said.replace(f"{SECRET}://", "")
    assert "Redis at" in said


@pytest.mark.parametrize("is_right", [True, False])
async def test_a_running_bridge_writes_no_password_into_its_log_its_report_or_redis(
    tmp_path: Path, start_bridge: StartBridge, caplog: pytest.LogCaptureFixture, is_right: bool
) -> None:
    port = free_port()
    with server(tmp_path, f"port {port}", f"requirepass {SECRET if is_right else 'another'}", 'save ""'):
        with caplog.at_level(logging.DEBUG):
            async with start_bridge(url=f"redis://:{SECRET}@127.0.0.1:{port}/0?socket_timeout=9") as bridge:
                if is_right:
                    await eventually(lambda: bridge.queues)
                else:
                    await eventually(lambda: "refuses the user or the password" in bridge.redis_reason)
                assert SECRET not in bridge.redis_reason
        redis = connect(f"redis://:{SECRET if is_right else 'another'}@127.0.0.1:{port}/0", longest_block_s=1)
        for key in await redis.keys():
            assert SECRET.encode() not in await redis.dump(key)
        await redis.aclose()
    assert SECRET not in caplog.text
