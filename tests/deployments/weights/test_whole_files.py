"""What enters the cache was complete: no part of a file, no page in its place, nothing of which nobody can tell."""

import hashlib
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import pytest

from deployments.definition import WeightsSource
from deployments.errors import ModelUnavailable
from deployments.weights.answers import refuse_redirect
from deployments.weights.fetch import Fetcher, Publishers
from deployments.weights.folders import entry_of
from deployments.weights.http_client import TransferSettings
from deployments.weights.settings import WeightsSettings

URI = "hf://FathomNet/some-model/best.pt"
QUICK = TransferSettings(connect_s=2, read_s=2, retry_wait_s=0.0, attempts=3)
CLOSING = b"HTTP/1.0 200 OK\r\nContent-Type: application/octet-stream\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


@dataclass
class RawServer:
    """Answers each request with the next of `answers`, the last for ever, and closes the connection."""

    answers: list[bytes] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    url: str = ""


@pytest.fixture
def raw() -> Iterator[RawServer]:
    state = RawServer()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        state.url = f"http://127.0.0.1:{listening.getsockname()[1]}"

        def serve() -> None:
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                with connection:
                    state.asked.append(_head(connection))
                    if state.asked[-1]:
                        connection.sendall(state.answers.pop(0) if len(state.answers) > 1 else state.answers[0])

        thread = threading.Thread(target=serve)
        thread.start()
        yield state
        listening.shutdown(socket.SHUT_RDWR)
        thread.join()


def _head(connection: socket.socket) -> str:
    head = b""
    while b"\r\n\r\n" not in head and (more := connection.recv(4096)):
        head += more
    return head.decode()


def chunks(*parts: bytes, is_ended: bool = True) -> bytes:
    return CHUNKED + b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n" * is_ended


def fetch(raw: RawServer, cache: WeightsSettings, **source: object) -> Path:
    fetcher = Fetcher(cache, QUICK, Publishers(raw.url, raw.url))
    return fetcher.ensure(WeightsSource.model_validate({"uri": URI, **source}), lambda there, total: None)


def refusal(raw: RawServer, cache: WeightsSettings, **source: object) -> str:
    """Why the file was not taken; nothing of it is in the cache."""
    with pytest.raises(ModelUnavailable) as refused:
        fetch(raw, cache, **source)
    entry = entry_of(WeightsSource(uri=URI), cache)
    assert not entry.file.exists()
    assert not entry.record_file.exists()
    return refused.value.message


def test_a_file_whose_end_nobody_tells_is_not_trusted(raw: RawServer, cache: WeightsSettings, content: bytes) -> None:
    raw.answers = [CLOSING + content[:1000]]
    said = refusal(raw, cache)
    assert "1000 bytes came before the connection ended" in said
    assert "give its sha256 or size_bytes in the definition" in said
    assert not entry_of(WeightsSource(uri=URI), cache).part.exists()


@pytest.mark.parametrize("knows", ["sha256", "size_bytes"])
def test_with_a_hash_or_a_size_such_a_file_is_taken_when_it_is_whole(
    raw: RawServer, cache: WeightsSettings, content: bytes, knows: str
) -> None:
    source = {"sha256": hashlib.sha256(content).hexdigest(), "size_bytes": len(content)}
    raw.answers = [CLOSING + content[:1000]]
    assert refusal(raw, cache, **{knows: source[knows]})
    raw.answers = [CLOSING + content]
    assert fetch(raw, cache, **{knows: source[knows]}).read_bytes() == content


def test_a_file_in_chunks_is_whole_with_its_last_chunk_only(
    raw: RawServer, cache: WeightsSettings, content: bytes
) -> None:
    raw.answers = [chunks(content[:5000], is_ended=False)]
    assert "peer closed connection" in refusal(raw, cache)
    raw.answers = [chunks(content[:5000], is_ended=False), chunks(content[:9000], content[9000:])]
    assert fetch(raw, cache).read_bytes() == content


@pytest.mark.parametrize(
    "page",
    [
        b"<!DOCTYPE html><html>log in</html>",
        b"\n\xef\xbb\xbf <html>".strip(b"\n"),
        b"  \r\n<HTML lang=en>",
        b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>',
    ],
)
@pytest.mark.parametrize("is_declared", [True, False])
def test_a_page_in_place_of_the_file_is_refused_as_one(
    raw: RawServer, cache: WeightsSettings, page: bytes, is_declared: bool
) -> None:
    raw.answers = [b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(page), page)]
    assert "sent a web page in place of the file" in refusal(
        raw, cache, **{"size_bytes": 10**8} if is_declared else {}
    )
    raw.answers = [chunks(*(bytes([one]) for one in page))]
    assert "sent a web page in place of the file" in refusal(raw, cache)


def test_an_empty_file_is_refused(raw: RawServer, cache: WeightsSettings) -> None:
    raw.answers = [b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"]
    assert "the fetched file is empty" in refusal(raw, cache)


@pytest.mark.parametrize("header", ["ETag: %s", "Last-Modified: %s"])
def test_a_server_that_goes_on_with_another_file_is_asked_from_the_start(
    raw: RawServer, cache: WeightsSettings, content: bytes, header: str
) -> None:
    old, new = (header % f'"{name}"' if "ETag" in header else header % name for name in ("old", "new"))
    whole = b"HTTP/1.1 200 OK\r\n%s\r\nContent-Length: %d\r\n\r\n"
    rest = b"HTTP/1.1 206 Partial Content\r\n%s\r\nContent-Range: bytes 1000-%d/%d\r\nContent-Length: %d\r\n\r\n"
    last, size_bytes = len(content) - 1, len(content)
    raw.answers = [
        whole % (old.encode(), 9_000_000) + b"x" * 1000,
        rest % (new.encode(), last, size_bytes, size_bytes - 1000) + content[1000:],
        whole % (new.encode(), size_bytes) + content,
    ]
    assert fetch(raw, cache).read_bytes() == content
    assert ["Range: bytes=1000-" in head or "range: bytes=1000-" in head for head in raw.asked] == [
        False,
        True,
        False,
    ]


def test_a_file_that_was_replaced_between_two_attempts_has_its_own_size(
    raw: RawServer, cache: WeightsSettings, content: bytes
) -> None:
    raw.answers = [
        b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\n\r\n" + b"x" * 1000,
        b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(content), content),
    ]
    assert fetch(raw, cache).read_bytes() == content


@pytest.mark.parametrize(
    ("origin", "target", "words"),
    [
        ("https://huggingface.co/a", "https://cdn.example/b", ""),
        ("http://mirror:8000/a", "http://10.0.0.7/b", ""),
        ("http://mirror.ship.example/a", "https://10.0.0.7/b", ""),
        ("https://10.0.0.7/a", "https://10.0.0.8/b", ""),
        ("https://huggingface.co/a", "http://cdn.example/b", "redirects to http:, which is not allowed"),
        ("http://mirror/a", "file:///etc/passwd", "redirects to file:, which is not allowed"),
        ("https://huggingface.co/a", "https://127.0.0.1/b", "redirects to 127.0.0.1, an inner address"),
        ("https://huggingface.co/a", "https://[::1]/b", "redirects to ::1, an inner address"),
        ("https://huggingface.co/a", "https://169.254.169.254/latest", "redirects to 169.254.169.254, an inner"),
        ("https://huggingface.co/a", "https://192.168.1.1/b", "redirects to 192.168.1.1, an inner address"),
        ("https://huggingface.co/a", "https://localhost:8443/b", "redirects to localhost, an inner address"),
    ],
)
def test_a_publisher_leads_to_no_other_scheme_and_into_no_inner_network(origin: str, target: str, words: str) -> None:
    if not words:
        refuse_redirect(httpx.URL(origin), httpx.URL(target))
        return
    with pytest.raises(ModelUnavailable) as refused:
        refuse_redirect(httpx.URL(origin), httpx.URL(target))
    assert words in refused.value.message
