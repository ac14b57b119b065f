"""Hosts that are slow, wrong or hostile: each is given up in words, within time and memory."""

import asyncio
import gzip
import time
import tracemalloc

import pytest

from deployments.byte_budget import HeldBytes
from deployments.errors import DeadlineExceeded, ImageTooLarge, InvalidImage, Overloaded, ServingError
from tests.serve_app.fetching.asking import MAX_BYTES, error_of, fetched, fetcher_for
from tests.serve_app.uploads import picture
from tests.support.image_host import ImageHost, image_host, reply

PICTURE = picture()


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
    del writer
    await asyncio.Event().wait()


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
