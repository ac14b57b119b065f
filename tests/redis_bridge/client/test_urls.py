"""A real Redis in other forms than 127.0.0.1 without a password."""

import asyncio
import logging
import subprocess
import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme
from redis.asyncio import Redis

from redis_bridge.__main__ import main
from redis_bridge.client.connection import REDIS_ERRORS, connect
from redis_bridge.client.urls import close_client, open_client, without_password
from redis_bridge.server.requirements import UnsupportedServer, refuse_unsupported
from tests.redis_bridge.conftest import StartBridge, free_port
from tests.redis_bridge.fakes import Client, eventually, legacy_answer
from tests.redis_bridge.redis_servers import REDIS, server, speaks_tls

PASSWORD = "s3cret word"
USERS = f"user fathom on >{PASSWORD.replace(' ', '-')} ~* &* +@all -info"

needs_tls = pytest.mark.skipif(
    not speaks_tls(REDIS), reason="no redis-server with TLS on this machine; the Valkey of the wheel has none"
)


@pytest.fixture
def secured(tmp_path: Path) -> Iterator[tuple[int, Path]]:
    """Port and Unix socket of a server with a password, and with a user who may do all but INFO."""
    port, unix_socket = free_port(), tmp_path / "valkey.sock"
    with server(tmp_path, f"port {port}", f"unixsocket {unix_socket}", f'requirepass "{PASSWORD}"', 'save ""', USERS):
        yield port, unix_socket


async def serves(url: str, start_bridge: StartBridge) -> None:
    """A job goes through a bridge at `url` and back."""
    redis = connect(url, longest_block_s=1)
    await eventually(lambda: pings(redis), within_s=10)
    async with start_bridge(url=url):
        client = Client(redis)
        assert await client.answer(await client.push((1, 2, 64)), within_s=10) == legacy_answer((1, 2, 64))
    await close_client(redis)


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


async def pings(redis: object) -> bool:
    try:
        return bool(await redis.ping())  # type: ignore[attr-defined]
    except REDIS_ERRORS:
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


@pytest.fixture
def encrypted(tmp_path: Path) -> Iterator[tuple[int, Path, Path]]:
    """Port of a server that speaks TLS only, its authority's certificate, and that of an authority not its own."""
    assert REDIS
    authority, stranger = trustme.CA(), trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    stranger.cert_pem.write_to_path(str(tmp_path / "other.pem"))
    certificate = authority.issue_cert("127.0.0.1")
    certificate.private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "server.pem"))
    port = free_port()
    files = [f"tls-{what}-file {tmp_path / 'server.pem'}" for what in ("cert", "key")]
    lines = ["port 0", f"tls-port {port}", *files, "tls-auth-clients no", "requirepass word", 'save ""']
    with server(tmp_path, *lines, executable=REDIS):
        yield port, tmp_path / "ca.pem", tmp_path / "other.pem"


@needs_tls
async def test_an_encrypted_server_is_used_when_its_authority_is_known(
    encrypted: tuple[int, Path, Path], start_bridge: StartBridge
) -> None:
    port, authority, _ = encrypted
    await serves(f"rediss://:word@127.0.0.1:{port}/0?ssl_ca_certs={authority}", start_bridge)


@needs_tls
async def test_an_unknown_authority_is_refused(encrypted: tuple[int, Path, Path]) -> None:
    port, authority, stranger = encrypted
    good = connect(f"rediss://:word@127.0.0.1:{port}/0?ssl_ca_certs={authority}", longest_block_s=1)
    await eventually(lambda: pings(good), within_s=10)
    await good.aclose()
    for options in ("", f"?ssl_ca_certs={stranger}"):
        client = connect(f"rediss://:word@127.0.0.1:{port}/0{options}", longest_block_s=1)
        with pytest.raises(REDIS_ERRORS, match="certificate verify failed"):
            await client.ping()
        await client.aclose()


@needs_tls
async def test_sentinels_and_their_master_may_both_be_encrypted(
    encrypted: tuple[int, Path, Path], start_bridge: StartBridge, tmp_path: Path
) -> None:
    port, authority, _ = encrypted
    assert REDIS
    sentinel_port, folder = free_port(), tmp_path / "sentinel"
    lines = [
        "port 0",
        f"tls-port {sentinel_port}",
        f"tls-cert-file {tmp_path / 'server.pem'}",
        f"tls-key-file {tmp_path / 'server.pem'}",
        f"tls-ca-cert-file {authority}",
        "tls-auth-clients no",
        "tls-replication yes",
        f"sentinel monitor fathom 127.0.0.1 {port} 1",
        "sentinel auth-pass fathom word",
    ]
    with server(folder, *lines, executable=REDIS, sentinel=True):
        await serves(
            f"rediss+sentinel://:word@127.0.0.1:{sentinel_port}/fathom/0?ssl_ca_certs={authority}", start_bridge
        )


@pytest.fixture
def guarded(tmp_path: Path) -> Iterator[tuple[str, "subprocess.Popen[bytes]"]]:
    """The address of a master with a replica and a sentinel, all with passwords; and the master itself."""
    master_port, replica_port, sentinel_port = free_port(), free_port(), free_port()
    common = ['save ""', "requirepass word", "masterauth word", "repl-diskless-sync-delay 0"]
    watched = [
        f"port {sentinel_port}",
        f"sentinel monitor fathom 127.0.0.1 {master_port} 1",
        "sentinel auth-pass fathom word",
        "sentinel down-after-milliseconds fathom 500",
        "sentinel failover-timeout fathom 3000",
        "requirepass guard",
    ]
    replica_of = f"replicaof 127.0.0.1 {master_port}"
    with (
        server(tmp_path / "master", f"port {master_port}", *common) as master,
        server(tmp_path / "replica", f"port {replica_port}", replica_of, *common),
        server(tmp_path / "sentinel", *watched, sentinel=True),
    ):
        # The first sentinel does not answer: the next one is asked.
        hosts = f"127.0.0.1:{free_port()},127.0.0.1:{sentinel_port}"
        yield f"redis+sentinel://:word@{hosts}/fathom/0?sentinel_password=guard", master


async def test_the_bridge_follows_a_failover(
    guarded: "tuple[str, subprocess.Popen[bytes]]", start_bridge: StartBridge
) -> None:
    url, master = guarded
    redis = connect(url, longest_block_s=1)
    await eventually(lambda: pings(redis), within_s=15)
    await eventually(lambda: has_replica(redis), within_s=15)
    async with start_bridge(url=url) as bridge:
        client = Client(redis)
        assert await client.answer(await client.push((1, 2, 64)), within_s=10) == legacy_answer((1, 2, 64))
        await eventually(lambda: sentinel_knows_the_replica(redis), within_s=20)
        master.kill()
        await eventually(lambda: pings(redis), within_s=30)
        assert await client.answer(await client.push((3, 4, 128)), within_s=20) == legacy_answer((3, 4, 128))
        bridge.check()
    await close_client(redis)


async def has_replica(redis: object) -> bool:
    facts = await redis.info("replication")  # type: ignore[attr-defined]
    return facts["connected_slaves"] == 1 and facts["slave0"]["state"] == "online"


async def sentinel_knows_the_replica(redis: object) -> bool:
    manager = redis.connection_pool.sentinel_manager  # type: ignore[attr-defined]
    return bool(await manager.discover_slaves("fathom"))


async def test_a_name_that_no_sentinel_knows_is_told(
    guarded: "tuple[str, subprocess.Popen[bytes]]", start_bridge: StartBridge, caplog: pytest.LogCaptureFixture
) -> None:
    async with start_bridge(url=guarded[0].replace("/fathom/", "/other/")) as bridge:
        await eventually(lambda: "No master found for 'other'" in caplog.text, within_s=10)
        bridge.check()
    assert "guard" not in caplog.text


def test_the_operators_command_takes_the_same_addresses(
    guarded: "tuple[str, subprocess.Popen[bytes]]", capsys: pytest.CaptureFixture[str]
) -> None:
    def lists() -> bool:
        return main(["dead-letters", "--url", guarded[0], "list"]) == 0

    asyncio.run(eventually(lists, within_s=15))
    assert main(["dead-letters", "--url", "http://:pass-word@host", "list"]) == 2
    said = capsys.readouterr().err
    assert "must begin with redis://, rediss://, unix://, redis+sentinel://" in said
    assert "pass-word" not in said


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


def is_dead(bridge: object) -> bool:
    try:
        bridge.check()  # type: ignore[attr-defined]
    except RuntimeError:
        return True
    return False


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
