"""Where images are fetched from, over real connections on the loopback."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import ip_address

import pytest
import trustme

from deployments.byte_budget import HeldBytes
from deployments.errors import InvalidRequest
from serve_app.fetching.fetcher import Secret
from serve_app.fetching.web_address import WebAddress
from tests.serve_app.fetching.asking import Names, error_of, fetched, fetcher_for
from tests.serve_app.uploads import picture
from tests.support.image_host import ImageHost, image_host, redirect, reply

PICTURE = picture()


async def test_an_image_is_fetched_and_counted(host: ImageHost, held: HeldBytes) -> None:
    host.answers["/a.png?size=full"] = reply(PICTURE)
    fetcher = fetcher_for(f"127.0.0.1:{host.port} private")
    assert await fetched(fetcher, f"{host.url}/a.png?size=full#top", held) == PICTURE
    assert held.size_bytes == len(PICTURE)
    headers = host.headers_of("/a.png?size=full")
    assert headers["host"] == f"127.0.0.1:{host.port}"
    assert headers["accept-encoding"] == "identity"
    assert "authorization" not in headers


async def test_nothing_is_fetched_without_hosts(host: ImageHost, held: HeldBytes) -> None:
    error = await error_of(fetcher_for(), f"{host.url}/a.png", held)
    assert isinstance(error, InvalidRequest)
    assert "URLs are not fetched here" in error.message
    assert host.asked == []


async def test_a_host_that_is_not_named_is_not_asked(host: ImageHost, held: HeldBytes) -> None:
    names = Names(localhost=[["127.0.0.1"]])
    error = await error_of(fetcher_for("example.org", names=names), f"http://localhost:{host.port}/a", held)
    assert "is not among the hosts" in error.message
    assert names.asked == []
    assert host.asked == []


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "192.168.0.9",
        "169.254.169.254",
        "0.0.0.0",
        "::1",
        "fe80::1",
        "::ffff:127.0.0.1",
        "224.0.0.1",
    ],
)
async def test_a_name_that_means_an_inner_address_is_refused(address: str, host: ImageHost, held: HeldBytes) -> None:
    fetcher = fetcher_for(f"images.example:{host.port}", names=Names(images=[[address]]))
    error = await error_of(fetcher, f"http://images.example:{host.port}/a", held)
    assert isinstance(error, InvalidRequest)
    assert f"images.example has the address {ip_address(address)}" in error.message
    assert host.asked == []


async def test_one_inner_address_among_others_is_enough_to_refuse(host: ImageHost, held: HeldBytes) -> None:
    fetcher = fetcher_for(f"images.example:{host.port}", names=Names(images=[["8.8.8.8", "127.0.0.1"]]))
    assert "127.0.0.1" in (await error_of(fetcher, f"http://images.example:{host.port}/a", held)).message


@pytest.mark.parametrize("address", ["169.254.169.254", "0.0.0.0", "fe80::1", "fd00:ec2::254", "100.100.100.200"])
async def test_even_a_private_host_gets_no_metadata(address: str, held: HeldBytes) -> None:
    fetcher = fetcher_for("images.example private", names=Names(images=[[address]]))
    assert "from which nothing may be fetched" in (await error_of(fetcher, "http://images.example/", held)).message


async def test_the_address_that_was_checked_is_the_one_that_is_asked(host: ImageHost, held: HeldBytes) -> None:
    """A name that means something else a moment later changes nothing: it is asked once."""
    host.answers["/a"] = reply(PICTURE)
    names = Names(images=[["127.0.0.1"], ["169.254.169.254"]])
    fetcher = fetcher_for(f"images.example:{host.port} private", names=names)
    assert await fetched(fetcher, f"http://images.example:{host.port}/a", held) == PICTURE
    assert names.asked == ["images.example"]
    assert host.headers_of("/a")["host"] == f"images.example:{host.port}"


async def test_a_redirect_is_checked_like_the_first_address(host: ImageHost, held: HeldBytes) -> None:
    host.answers |= {
        "/moved": redirect("/a"),
        "/loopback": redirect(f"http://localhost:{host.port}/secret"),
        "/metadata": redirect("http://169.254.169.254/latest/meta-data/"),
        "/file": redirect("file:///etc/passwd"),
        "/odd": redirect("http://2130706433/"),
        "/login": redirect("http://me:secret@127.0.0.1/"),
        "/rebound": redirect(f"http://images.example:{host.port}/a"),
        "/a": reply(PICTURE),
        "/secret": reply(PICTURE),
    }
    names = Names(images=[["127.0.0.1"]], localhost=[["127.0.0.1"]])
    fetcher = fetcher_for(f"127.0.0.1:{host.port} private", f"images.example:{host.port}", names=names)
    assert await fetched(fetcher, f"{host.url}/moved", held) == PICTURE
    for path, reason in {
        "/loopback": "is not among the hosts",
        "/metadata": "is not among the hosts",
        "/file": "redirects elsewhere: an address begins with http",
        "/odd": "redirects elsewhere: '2130706433'",
        "/login": "redirects elsewhere: an address must not have a user name",
        "/rebound": "images.example has the address 127.0.0.1",
    }.items():
        error = await error_of(fetcher, host.url + path, held)
        assert isinstance(error, InvalidRequest)
        assert reason in error.message
    assert not any("/secret" in head for head in host.asked)


async def test_redirects_end(host: ImageHost, held: HeldBytes) -> None:
    host.answers["/round"] = redirect("/round")
    error = await error_of(fetcher_for(f"127.0.0.1:{host.port} private"), f"{host.url}/round", held)
    assert "redirects more than 5 times" in error.message
    assert len(host.asked) == 6


async def test_a_token_goes_to_its_own_host_only(host: ImageHost, held: HeldBytes) -> None:
    async with image_host() as other:
        host.answers |= {"/here": reply(PICTURE), "/there": redirect(f"{other.url}/a"), "/round": redirect("/here")}
        other.answers["/a"] = reply(PICTURE)
        fetcher = fetcher_for(f"127.0.0.1:{host.port} private", f"127.0.0.1:{other.port} private")
        secret = Secret("Token abc", WebAddress.of(host.url))
        for path in ("/here", "/there", "/round"):
            assert await fetched(fetcher, host.url + path, held, secret) == PICTURE
        assert await fetched(fetcher, f"{other.url}/a", held, secret) == PICTURE
        assert host.headers_of("/here")["authorization"] == "Token abc"
        assert not any("authorization" in head.lower() for head in other.asked)


@asynccontextmanager
async def over_tls(host: ImageHost, name: str) -> AsyncIterator[tuple[int, trustme.CA]]:
    authority = trustme.CA()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(name).configure_cert(context)
    server = await asyncio.start_server(host.on_connection, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1], authority
    finally:
        server.close()
        await server.wait_closed()


async def test_a_certificate_must_be_of_the_host_that_was_named(
    host: ImageHost, held: HeldBytes, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    host.answers |= {"/a": reply(PICTURE), "/down": redirect(f"{host.url}/a")}
    names = Names(images=[["127.0.0.1"]], other=[["127.0.0.1"]])
    async with over_tls(host, "images.example") as (port, authority):
        bundle = tmp_path_factory.mktemp("tls") / "ca.pem"
        authority.cert_pem.write_to_path(bundle)
        monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
        allowed = (f"*.example:{port} private", f"images.example:{port} private", f"127.0.0.1:{host.port} private")
        fetcher = fetcher_for(*allowed, f"other.example:{port} private", names=names)
        assert await fetched(fetcher, f"https://images.example:{port}/a", held) == PICTURE
        error = await error_of(fetcher, f"https://other.example:{port}/a", held)
        assert "certificate" in error.message
        error = await error_of(fetcher, f"https://images.example:{port}/down", held)
        assert "redirects from https to http" in error.message
