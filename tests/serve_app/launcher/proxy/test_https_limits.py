"""The limits of the door hold over HTTPS: connections, requests, heads, handshakes."""

import asyncio
import ssl
from pathlib import Path

from serve_app.launcher.proxy.haproxy import ConnectionLimits
from tests.serve_app.launcher.proxy.app_behind import BEHIND
from tests.serve_app.launcher.proxy.https_in_front import (
    AUTHORITY,
    ask_securely,
    holding,
    http2_client,
    https_in_front,
    write_pair,
)
from tests.support.raw_http import Answer, get, serving

HALF_A_HELLO = b"\x16\x03\x01\x02\x00\x01\x00\x01"


async def once(status: int | None, source: str, port: int) -> Answer | None:
    """The first answer of this status: HAProxy takes and leaves connections when it comes to it. None: refused."""
    async with asyncio.timeout(20):
        while True:
            try:
                answer = await ask_securely(port, get("/text"), source)
            except (asyncio.IncompleteReadError, ConnectionError, ssl.SSLError):
                if status is None:
                    return None
            else:
                if answer.status == status:
                    return answer


async def test_requests_count_as_connections_do_where_one_connection_has_many(tmp_path: Path) -> None:
    async with serving(BEHIND) as behind:
        files = write_pair(AUTHORITY.issue_cert("localhost"), tmp_path)
        with https_in_front([behind], files, limits=ConnectionLimits(per_client=8)) as door:
            async with http2_client(door) as http:
                await http.get("/text")
                answers = await asyncio.gather(*(http.get("/late?after_s=2") for _ in range(20)))
                assert sorted(answer.status_code for answer in answers) == [200] * 8 + [429] * 12
                # None of them is under way any more.
                assert (await http.get("/text")).status_code == 200


async def test_a_client_with_too_many_connections_is_told_so_and_then_refused(tmp_path: Path) -> None:
    async with serving(BEHIND) as behind:
        files = write_pair(AUTHORITY.issue_cert("localhost"), tmp_path)
        with https_in_front([behind], files, limits=ConnectionLimits(per_client=8)) as door:
            async with holding(door.port, "127.0.0.2", *[b""] * 8):
                told = await once(429, "127.0.0.2", door.port)
                assert told is not None
                assert told.headers["strict-transport-security"] == "max-age=86400"
                assert "connections" in str(told.problem["detail"])
                async with holding(door.port, "127.0.0.2", b"", b""):
                    assert await once(None, "127.0.0.2", door.port) is None
                assert (await ask_securely(door.port, get("/text"), "127.0.0.3")).status == 200
            assert await once(200, "127.0.0.2", door.port) is not None


async def test_an_unfinished_head_ends_in_time(tmp_path: Path) -> None:
    files = write_pair(AUTHORITY.issue_cert("localhost"), tmp_path)
    with https_in_front([], files, limits=ConnectionLimits(head_timeout_s=0.3)) as door:
        answer = await ask_securely(door.port, b"GET /health/live HTTP/1.1\r\nHost: do")
        assert (answer.status, answer.headers["connection"]) == (408, "close")


async def test_a_handshake_that_does_not_go_on_ends_in_time(tmp_path: Path) -> None:
    files = write_pair(AUTHORITY.issue_cert("localhost"), tmp_path)
    with https_in_front([], files, client_timeout_s=1) as door:
        async with holding(door.port, "127.0.0.1", b"", HALF_A_HELLO) as held, asyncio.timeout(20):
            assert [await reader.read() for reader in held] == [b"", b""]


async def test_half_handshakes_and_garbage_of_one_client_lock_nobody_out(tmp_path: Path) -> None:
    async with serving(BEHIND) as behind:
        with https_in_front([behind], write_pair(AUTHORITY.issue_cert("localhost"), tmp_path)) as door:
            async with holding(door.port, "127.0.0.2", *[HALF_A_HELLO, b"\x80garbage\r\n\r\n"] * 200):
                assert (await ask_securely(door.port, get("/text"), "127.0.0.3")).status == 200
