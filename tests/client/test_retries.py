"""A request is sent again where that can help, no earlier than the server wants, and not for ever."""

import socket
import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
import trustme
from starlette.responses import Response

from fathom_client import (
    AsyncClient,
    Client,
    DeadlineExceeded,
    FathomError,
    InvalidRequest,
    ModelCrashed,
    Overloaded,
    Refusal,
    Retry,
    ServerNotReachable,
    TimedOut,
    Unavailable,
)
from fathom_client.retries import Attempts, seconds_of
from tests.client.conftest import SOON
from tests.client.fake_server import CutOff, FakeServer, problem

NOW = datetime(2026, 11, 29, 15, 0, 0, tzinfo=UTC)


def refused(kind: type[Overloaded] = Overloaded, after_s: float | None = None) -> Overloaded:
    return kind(Refusal(429, "overloaded", "too much", after_s))


def pauses(retry: Retry, *errors: FathomError) -> list[float | None]:
    """What follows each error, while the clock goes on by each pause."""
    clock = [100.0]
    attempts = Attempts(retry, lambda: clock[0], lambda: 0.0)
    found = []
    for error in errors:
        found.append(pause := attempts.pause_after(error))
        clock[0] += pause or 0
    return found


def test_pauses_double_up_to_the_longest_and_end_with_the_attempts() -> None:
    retry = Retry(attempts=5, total_s=100, pause_s=1, longest_pause_s=3)
    assert pauses(retry, *[refused()] * 5) == [1, 2, 3, 3, None]


def test_the_servers_wish_replaces_the_own_pause_even_if_longer_than_the_longest() -> None:
    retry = Retry(attempts=5, total_s=100, pause_s=1, longest_pause_s=3)
    assert pauses(retry, refused(after_s=20), refused(after_s=0), refused()) == [20, 0, 3]


def test_no_attempt_begins_after_the_total_time() -> None:
    assert pauses(Retry(total_s=30), refused(after_s=31)) == [None]
    assert pauses(Retry(total_s=30, pause_s=20, longest_pause_s=20), refused(), refused()) == [20, None]


def test_without_a_limit_of_attempts_the_time_is_the_limit() -> None:
    found = pauses(Retry(total_s=100, pause_s=1, longest_pause_s=8), *[refused()] * 20)
    assert found[:13] == [1, 2, 4, *[8] * 10]
    assert sum(pause or 0 for pause in found) < 100


def test_chance_only_makes_a_pause_longer() -> None:
    attempts = Attempts(Retry(pause_s=1), lambda: 0.0, lambda: 1.0)
    assert attempts.pause_after(refused(after_s=10)) == 10.25


@pytest.mark.parametrize("retry", [{"attempts": 0}, {"total_s": -1}, {"pause_s": -1}, {"total_s": float("nan")}])
def test_a_retry_that_cannot_be_is_refused(retry: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="1 attempt at least"):
        Retry(**retry)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (None, None),
        ("7", 7),
        (" 0 ", 0),
        ("Sun, 29 Nov 2026 15:00:30 GMT", 30),
        ("Sun, 29 Nov 2026 15:00:30 -0000", 30),
        ("Sun, 29 Nov 2026 14:00:00 GMT", 0),
        ("soon", None),
        ("-3", None),
        ("1.5", None),
        ("", None),
        ("9" * 400, float("inf")),
        ("Sun, 99 Nov 2026 15:00:30 GMT", None),
    ],
)
def test_retry_after_is_read_in_both_forms(header: str | None, seconds: float | None) -> None:
    assert seconds_of(header, NOW) == seconds


@pytest.mark.parametrize(
    "first",
    [
        lambda: problem(429, "overloaded", "too much waits", "0"),
        lambda: problem(503, "model-unavailable", "being replaced", "0"),
        lambda: problem(504, "deadline-exceeded", "it is waking up"),
        lambda: Response("<html>", 502, media_type="text/html"),
        CutOff,
    ],
    ids=["429", "503", "504", "502 of a proxy", "cut off"],
)
def test_what_passes_is_asked_again_with_the_same_body(client: Client, server: FakeServer, first: object) -> None:
    server.first.extend([first(), first()])  # type: ignore[operator]
    assert client.predict(b"7", "demo").detections[0].score == 0.07
    assert [asked.images for asked in server.asked] == [[(None, b"7")]] * 3
    server.first.append(first())  # type: ignore[operator]
    assert client.export([b"7"], "demo", "coco")
    assert [asked.images for asked in server.asked[3:]] == [[("image-1", b"7")]] * 2


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (lambda: problem(503, "model-crashed", "it died"), ModelCrashed),
        (lambda: problem(503, "model-unavailable", "could not be built"), Unavailable),
        (lambda: problem(422, "invalid-request", "no such option"), InvalidRequest),
        (lambda: problem(429, "overloaded", "come back tomorrow", "86400"), Overloaded),
    ],
)
def test_what_does_not_pass_is_told_at_once(
    client: Client, server: FakeServer, answer: object, kind: type[FathomError]
) -> None:
    server.first.append(answer())  # type: ignore[operator]
    with pytest.raises(kind):
        client.predict(b"7", "demo")
    assert len(server.asked) == 1


def test_the_last_refusal_is_the_error(client: Client, server: FakeServer) -> None:
    server.first.extend(problem(503, "model-unavailable", f"reason {at}", "0") for at in range(4))
    with pytest.raises(Unavailable, match="reason 3") as raised:
        client.predict(b"7", "demo")
    assert len(server.asked) == SOON.attempts
    assert (raised.value.status, raised.value.code, raised.value.retry_after_s) == (503, "model-unavailable", 0)
    assert raised.value.refusal.request_id == "abc"


async def test_the_async_client_retries_alike(server: FakeServer) -> None:
    transport = httpx.ASGITransport(server.app())
    async with AsyncClient("http://localhost", retry=SOON, transport=transport) as client:
        server.first.extend([problem(429, "overloaded", "x"), problem(503, "model-unavailable", "x", "0")])
        assert (await client.predict(b"7", "demo")).detections[0].score == 0.07
        server.first.append(problem(503, "model-crashed", "x"))
        with pytest.raises(ModelCrashed):
            await client.predict(b"7", "demo")
        assert len(server.asked) == 4
        server.first.extend(problem(504, "deadline-exceeded", "x") for _ in range(4))
        with pytest.raises(DeadlineExceeded):
            await client.predict(b"7", "demo")


def test_closing_the_client_ends_a_pause(server: FakeServer) -> None:
    server.first.append(problem(503, "model-unavailable", "later", "60"))
    client = Client()
    ended: list[FathomError] = []

    def ask() -> None:
        try:
            client.predict(b"7", "demo")
        except FathomError as error:
            ended.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    client._closed.set()  # what close() begins with; the request itself may still be on its way
    thread.join(10)
    client.close()
    assert [type(error) for error in ended] == [Unavailable]


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """A port on which somebody listens and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as one:
        yield one


def test_a_silent_server_is_not_waited_for(listener: socket.socket) -> None:
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    with Client(url, timeout_s=0.05, retry=SOON) as client, pytest.raises(TimedOut, match=r"127\.0\.0\.1"):
        client.predict(b"7", "demo")


def test_nobody_there_is_told_with_the_address_and_without_a_password(listener: socket.socket) -> None:
    port = listener.getsockname()[1]
    listener.close()
    with Client(f"http://me:secret@127.0.0.1:{port}", retry=SOON) as client:
        with pytest.raises(ServerNotReachable, match=f"127.0.0.1:{port}") as raised:
            client.models()
        assert "secret" not in str(raised.value)
        with pytest.raises(ServerNotReachable):
            client.ready()


def test_a_certificate_that_is_not_trusted_is_told_at_once(listener: socket.socket) -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    greeted = []

    def greet() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            greeted.append(connection)
            try:
                context.wrap_socket(connection, server_side=True)
            except OSError:
                connection.close()

    thread = threading.Thread(target=greet)
    thread.start()
    try:
        port = listener.getsockname()[1]
        client = Client(f"https://127.0.0.1:{port}", retry=SOON)
        with client, pytest.raises(ServerNotReachable, match="certificate") as raised:
            client.models()
        assert not raised.value.may_pass
        assert len(greeted) == 1
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(10)
