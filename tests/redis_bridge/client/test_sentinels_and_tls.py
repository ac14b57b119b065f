"""A real Redis behind sentinels or TLS: the failover is followed, an unknown authority is refused."""

import asyncio
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from redis_bridge.__main__ import main
from redis_bridge.client.connection import REDIS_ERRORS, connect
from redis_bridge.client.urls import close_client
from tests.redis_bridge.client.reachable import pings, serves
from tests.redis_bridge.conftest import StartBridge, free_port
from tests.redis_bridge.fakes import Client, eventually, legacy_answer
from tests.redis_bridge.redis_servers import REDIS, server, speaks_tls

needs_tls = pytest.mark.skipif(
    not speaks_tls(REDIS), reason="no redis-server with TLS on this machine; the Valkey of the wheel has none"
)


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
