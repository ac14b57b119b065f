"""Images from hosts that are slow, wrong or hostile, over real connections on the loopback."""

import asyncio
import gzip
import ssl
import time
import tracemalloc
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from ipaddress import ip_address

import pytest
import trustme

from deployments.byte_budget import ByteBudget, HeldBytes
from deployments.errors import DeadlineExceeded, ImageTooLarge, InvalidImage, InvalidRequest, Overloaded, ServingError
from serve_app.fetching.addresses import IPAddress
from serve_app.fetching.allow_list import AllowList
from serve_app.fetching.fetcher import Fetcher, FetchLimits, Secret
from serve_app.fetching.web_address import WebAddress
from tests.serve_app.uploads import picture
from tests.support.image_host import ImageHost, image_host, redirect, reply

MAX_BYTES = 100_000
PICTURE = picture()


class Names:
    """A resolver. Each name has addresses for the first question, others for the next, ..."""

    def __init__(self, **addresses: Sequence[Sequence[str]]) -> None:
        self.addresses = addresses
        self.asked: list[str] = []

    async def __call__(self, host: str, port: int) -> Sequence[IPAddress]:
        del port
        self.asked.append(host)
        turns = self.addresses.get(host.partition(".")[0], [])
        if not turns:
            raise OSError("no such name")
        return [ip_address(one) for one in turns[min(self.asked.count(host), len(turns)) - 1]]


@pytest.fixture
async def host() -> AsyncIterator[ImageHost]:
    async with image_host() as served:
        yield served


@pytest.fixture
def held() -> HeldBytes:
    return ByteBudget(400_000, "memory for uploads").open("client")


def fetcher_for(*entries: str, names: Names | None = None, timeout_s: float = 5.0, **limits: int) -> Fetcher:
    return Fetcher(AllowList.of(entries), FetchLimits(MAX_BYTES, timeout_s, **limits), names or Names())


async def fetched(
    fetcher: Fetcher, url: str, held: HeldBytes, secret: Secret | None = None, in_s: float = 5
) -> bytes:
    return await fetcher.fetch(url, held, asyncio.get_running_loop().time() + in_s, secret)


async def error_of(fetcher: Fetcher, url: str, held: HeldBytes, in_s: float = 5) -> ServingError:
    with pytest.raises(ServingError) as raised:
        await fetched(fetcher, url, held, in_s=in_s)
    return raised.value


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


async def trickle(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 50000\r\n\r\n")
    while not writer.is_closing():
        writer.write(b"a")
        await writer.drain()
        await asyncio.sleep(0.01)


async def endless_headers(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n")
    while not writer.is_closing():
        writer.write(b"X-More: " + b"a" * 10_000 + b"\r\n")
        await writer.drain()


async def endless_body(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while not writer.is_closing():
        writer.write(b"10000\r\n" + b"a" * 0x10000 + b"\r\n")
        await writer.drain()


async def says_nothing(writer: asyncio.StreamWriter) -> None:
    await writer.wait_closed()


BAD_ANSWERS = {
    "long": (reply(b"a" * (MAX_BYTES + 1)), ImageTooLarge, "the limit is 100000"),
    "liar": (
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999999\r\n\r\nabc",
        ServingError,
        "did not send|limit",
    ),
    "short": (b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\nabc", InvalidImage, "did not send the image"),
    "no length": (b"HTTP/1.1 200 OK\r\nContent-Length: abc\r\n\r\nabc", InvalidImage, "did not send the image"),
    "garbage": (b"SSH-2.0-OpenSSH_9.6\r\n", InvalidImage, "did not send the image"),
    "nothing": (b"", InvalidImage, "did not send the image"),
    "empty": (reply(b""), InvalidImage, "an empty file"),
    "bomb": (reply(gzip.compress(b"0" * 10_000_000), "200 OK", "Content-Encoding: gzip"), InvalidImage, "compressed"),
    "page": (reply(b"<html>", "200 OK", "Content-Type: text/html; charset=utf-8"), InvalidImage, "a login"),
    "forbidden": (reply(b"no", "403 Forbidden"), InvalidImage, "answered 403"),
    "failing": (reply(b"no", "500 Internal Server Error"), InvalidImage, "answered 500"),
    "partial": (reply(b"no", "206 Partial Content"), InvalidImage, "answered 206"),
    "lost": (reply(b"", "302 Found"), InvalidImage, "answered 302"),
    "headers": (endless_headers, InvalidImage, "did not send the image"),
    "body": (endless_body, ImageTooLarge, "the limit is 100000"),
}


@pytest.mark.parametrize("name", BAD_ANSWERS)
async def test_a_bad_answer_is_told_in_words_and_takes_no_memory(name: str, host: ImageHost, held: HeldBytes) -> None:
    answer, kind, reason = BAD_ANSWERS[name]
    host.answers["/a"] = answer
    tracemalloc.start()
    try:
        with pytest.raises(kind, match=reason):
            await fetched(fetcher_for(f"127.0.0.1:{host.port} private"), f"{host.url}/a", held)
        assert tracemalloc.get_traced_memory()[1] < 3_000_000
    finally:
        tracemalloc.stop()
    assert held.size_bytes <= MAX_BYTES


async def test_more_than_was_announced_is_not_read(host: ImageHost, held: HeldBytes) -> None:
    host.answers["/a"] = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nabcdEFGH" + b"x" * 100_000
    assert await fetched(fetcher_for(f"127.0.0.1:{host.port} private"), f"{host.url}/a", held) == b"abcd"


@pytest.mark.parametrize("slow", [trickle, says_nothing])
async def test_a_slow_host_is_given_up_in_time(slow: object, host: ImageHost, held: HeldBytes) -> None:
    host.answers["/a"] = slow  # type: ignore[assignment]
    entry = f"127.0.0.1:{host.port} private"
    for fetcher, in_s in ((fetcher_for(entry, timeout_s=0.3), 60), (fetcher_for(entry, timeout_s=60), 0.3)):
        begun_s = time.monotonic()
        error = await error_of(fetcher, f"{host.url}/a", held, in_s=in_s)
        assert isinstance(error, DeadlineExceeded)
        assert "in time" in error.message
        assert time.monotonic() - begun_s < 5


async def test_nobody_listens_and_a_name_that_does_not_exist(host: ImageHost, held: HeldBytes) -> None:
    async with image_host() as gone:
        pass
    error = await error_of(fetcher_for(f"127.0.0.1:{gone.port} private"), f"{gone.url}/a", held)
    assert isinstance(error, InvalidImage)
    assert f"127.0.0.1:{gone.port} did not send the image" in error.message
    error = await error_of(fetcher_for("gone.example"), "http://gone.example/a", held)
    assert isinstance(error, InvalidImage)
    assert "gone.example cannot be resolved" in error.message


async def test_the_bytes_of_a_request_are_bounded_together(host: ImageHost, held: HeldBytes) -> None:
    host.answers["/a"] = reply(b"a" * 90_000)
    fetcher = fetcher_for(f"127.0.0.1:{host.port} private")
    outcomes = await asyncio.gather(
        *(fetched(fetcher, f"{host.url}/a", held) for _ in range(6)), return_exceptions=True
    )
    refused = [one for one in outcomes if isinstance(one, ImageTooLarge | Overloaded)]
    assert len(refused) == 2
    assert held.size_bytes <= 400_000


async def test_few_are_fetched_at_once_and_fewer_of_one_host(host: ImageHost, held: HeldBytes) -> None:
    async def hold(writer: asyncio.StreamWriter) -> None:
        await host.let_go.wait()
        writer.write(reply(PICTURE))

    host.answers["/a"] = hold
    fetcher = fetcher_for(f"127.0.0.1:{host.port} private", most_of_a_host=2)
    asked = [asyncio.create_task(fetched(fetcher, f"{host.url}/a", held)) for _ in range(6)]
    await host.until(lambda: host.under_way == 2)
    error = await error_of(fetcher, f"{host.url}/a", held, in_s=0.2)
    assert isinstance(error, DeadlineExceeded)
    host.let_go.set()
    assert await asyncio.gather(*asked) == [PICTURE] * 6
    assert host.most_under_way == 2


async def test_cancelling_closes_the_connection(host: ImageHost, held: HeldBytes) -> None:
    host.answers["/a"] = trickle
    task = asyncio.create_task(fetched(fetcher_for(f"127.0.0.1:{host.port} private"), f"{host.url}/a", held))
    await host.until(lambda: host.under_way == 1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await host.until(lambda: host.under_way == 0)


async def test_proxies_of_the_environment_are_not_used(
    host: ImageHost, held: HeldBytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "https_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    host.answers["/a"] = reply(PICTURE)
    assert await fetched(fetcher_for(f"127.0.0.1:{host.port} private"), f"{host.url}/a", held) == PICTURE


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
