"""HTTPS at the door: what a client sees of a real HAProxy with a certificate."""

import asyncio
import socket
import ssl
import warnings
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import orjson
import psutil
import pytest

from serve_app.launcher.proxy.haproxy import ConnectionLimits
from tests.serve_app.launcher.proxy.app_behind import BEHIND
from tests.serve_app.launcher.proxy.https_in_front import (
    AUTHORITY,
    HttpsDoor,
    ask_securely,
    http2_client,
    https_in_front,
    trusting,
    write_pair,
)
from tests.support.raw_http import Answer, answer_from, ask, get, serving

OTHER_ADDRESS = next(
    (
        one.address
        for addresses in psutil.net_if_addrs().values()
        for one in addresses
        if one.family == socket.AF_INET and not one.address.startswith("127.")
    ),
    None,
)


@pytest.fixture
async def door(tmp_path: Path) -> AsyncIterator[HttpsDoor]:
    async with serving(BEHIND) as behind:
        with https_in_front([behind], write_pair(AUTHORITY.issue_cert("localhost"), tmp_path)) as door:
            yield door


async def test_a_client_that_trusts_the_authority_is_answered_and_the_door_knows_that_it_came_by_tls(
    door: HttpsDoor,
) -> None:
    async with httpx.AsyncClient(verify=trusting(), trust_env=False) as http:
        answer = await http.get(f"https://localhost:{door.port}/scheme")
        assert (answer.status_code, answer.json()) == (200, "https")
        assert answer.headers["strict-transport-security"] == "max-age=86400"
        lie = {"X-Forwarded-Proto": "http", "X-Forwarded-For": "6.6.6.6"}
        assert (await http.get(f"https://localhost:{door.port}/scheme", headers=lie)).json() == "https"
        assert (await http.get(f"https://localhost:{door.port}/client", headers=lie)).json() == "127.0.0.1"


async def test_a_client_that_does_not_trust_it_or_asks_for_another_name_goes_away(door: HttpsDoor) -> None:
    async with httpx.AsyncClient(trust_env=False) as stranger:
        with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            await stranger.get(f"https://localhost:{door.port}/text")
    async with httpx.AsyncClient(verify=trusting(), trust_env=False) as http:
        with pytest.raises(httpx.ConnectError, match=r"IP address mismatch"):
            await http.get(f"https://127.0.0.1:{door.port}/text")


async def test_plain_http_beside_it_is_as_before_and_says_nothing_of_tls(door: HttpsDoor) -> None:
    answer = await ask(door.plain_port, get("/scheme", "x-forwarded-proto: https"))
    assert (answer.status, orjson.loads(answer.body)) == (200, "http")
    assert "strict-transport-security" not in answer.headers


async def test_plain_http_on_the_port_of_https_gets_no_answer_from_the_door(door: HttpsDoor) -> None:
    with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
        await ask(door.port, get("/text"))


async def test_nothing_older_than_tls_1_2(door: HttpsDoor) -> None:
    for newest in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        assert (await ask_securely(door.port, get("/text"), context=as_old_as(newest))).status == 200
    with pytest.raises(ssl.SSLError, match="PROTOCOL_VERSION"):
        await ask_securely(door.port, get("/text"), context=as_old_as(ssl.TLSVersion.TLSv1_1))


def as_old_as(newest: ssl.TLSVersion) -> ssl.SSLContext:
    """What a client has that can TLS 1.1 and `newest`, and is not careful."""
    context = trusting()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = ssl.TLSVersion.TLSv1_1
        context.maximum_version = newest
    context.set_ciphers("ALL:@SECLEVEL=0")
    return context


async def test_ciphers_of_tls_1_2_without_forward_secrecy_or_with_cbc_are_refused(door: HttpsDoor) -> None:
    context = trusting()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    for ciphers in ("AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-SHA256"):
        context.set_ciphers(ciphers)
        with pytest.raises(ssl.SSLError, match="HANDSHAKE_FAILURE"):
            await ask_securely(door.port, get("/text"), context=context)
    context.set_ciphers("ECDHE-ECDSA-AES128-GCM-SHA256")
    assert (await ask_securely(door.port, get("/text"), context=context)).status == 200


async def test_http_2_is_there_for_those_who_offer_nothing_else(door: HttpsDoor) -> None:
    for offered, chosen in ((["h2", "http/1.1"], "http/1.1"), (["h2"], "h2"), ([], None)):
        _, writer = await asyncio.open_connection(
            "127.0.0.1", door.port, ssl=trusting(*offered), server_hostname="localhost"
        )
        assert writer.get_extra_info("ssl_object").selected_alpn_protocol() == chosen
        writer.close()


async def test_a_client_with_http_2_is_answered_and_cannot_steer_ray_either(door: HttpsDoor) -> None:
    async with http2_client(door) as http:
        answer = await http.get("/scheme")
        assert (answer.http_version, answer.json()) == ("HTTP/2", "https")
        heard = (await http.get("/headers", headers={"x-request-timeout-seconds": "0", "x-other": "a"})).json()
    assert ["x-forwarded-for", "127.0.0.1"] in heard
    names = {name for name, _ in heard}
    assert "x-other" in names
    assert "x-request-timeout-seconds" not in names


@pytest.mark.skipif(OTHER_ADDRESS is None, reason="this machine has no address but loopback")
async def test_other_machines_may_be_sent_to_https(tmp_path: Path) -> None:
    async with serving(BEHIND) as behind:
        with https_in_front([behind], write_pair(AUTHORITY.issue_cert("localhost"), tmp_path), "redirect") as door:
            for host, asked, sent_to in (
                ("door.example:8082", "/text?a=b", f"https://door.example:{door.port}/text?a=b"),
                ("door.example", "/text", f"https://door.example:{door.port}/text"),
                ("[2001:db8::1]:8082", "/text", f"https://[2001:db8::1]:{door.port}/text"),
            ):
                request = f"POST {asked} HTTP/1.1\r\nHost: {host}\r\nContent-Length: 0\r\n\r\n".encode()
                answer = await from_elsewhere(door.plain_port, request)
                assert (answer.status, answer.headers["location"]) == (308, sent_to)
                assert answer.headers["cache-control"] == "no-store"
                assert answer.problem["success"] is False
            assert (await ask(door.plain_port, get("/text"))).status == 200


@pytest.mark.skipif(OTHER_ADDRESS is None, reason="this machine has no address but loopback")
async def test_a_trusted_proxy_is_not_sent_to_https(tmp_path: Path) -> None:
    limits = ConnectionLimits(trusted_proxies=(f"{OTHER_ADDRESS}/32",))
    files = write_pair(AUTHORITY.issue_cert("localhost"), tmp_path)
    async with serving(BEHIND) as behind:
        with https_in_front([behind], files, "redirect", limits) as door:
            answer = await from_elsewhere(door.plain_port, get("/scheme", "x-forwarded-proto: https"))
            assert (answer.status, orjson.loads(answer.body)) == (200, "https")


@pytest.mark.skipif(OTHER_ADDRESS is None, reason="this machine has no address but loopback")
async def test_plain_http_may_be_open_to_all(tmp_path: Path) -> None:
    async with serving(BEHIND) as behind:
        with https_in_front([behind], write_pair(AUTHORITY.issue_cert("localhost"), tmp_path), "open") as door:
            assert (await from_elsewhere(door.plain_port, get("/text"))).status == 200


async def from_elsewhere(port: int, request: bytes) -> Answer:
    """The answer to a client that does not come by the loopback address."""
    async with asyncio.timeout(10):
        reader, writer = await asyncio.open_connection(OTHER_ADDRESS, port)
        writer.write(request)
        try:
            return await answer_from(reader)
        finally:
            writer.close()
