"""What a door that dies has had is asked of the next one, where that does no harm and the request is small."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from tests.serve_app.launcher.proxy.haproxy_in_front import haproxy_in_front
from tests.support.raw_http import Answer, ask

SMALL, LARGE = b"x" * 24_000, b"x" * 300_000
COUNT = 8


@dataclass
class Door:
    """One that answers every request, or dies each time that it has got a whole one. heard: requests, without those
    by which HAProxy looks whether it is well."""

    dies: bool
    heard: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(
                (line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")), b":0"
            )
            await reader.readexactly(int(length.partition(b":")[2]))
            is_look = head.split()[1] == b"/-/healthz"
            self.heard += not is_look
            if is_look or not self.dies:
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok")
                await writer.drain()
        except asyncio.IncompleteReadError:
            pass  # a look at the port alone
        finally:
            writer.close()


@asynccontextmanager
async def two_doors() -> AsyncIterator[tuple[int, Door, Door]]:
    """The port of HAProxy, a door that dies, and one that does not."""
    dying, well = Door(dies=True), Door(dies=False)
    async with (
        await asyncio.start_server(dying.serve, "127.0.0.1", 0) as first,
        await asyncio.start_server(well.serve, "127.0.0.1", 0) as second,
    ):
        ports = [server.sockets[0].getsockname()[1] for server in (first, second)]
        with haproxy_in_front(ports) as port:
            yield port, dying, well


def request(method: str, path: str, body: bytes) -> bytes:
    head = f"{method} {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


async def asked(port: int, method: str, path: str, body: bytes) -> list[Answer]:
    return [await ask(port, request(method, path, body)) for _ in range(COUNT)]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/v1/models/a/predict", SMALL),
        ("POST", "/predictor/", SMALL),
        ("POST", "/model/v1/predictor", SMALL),
        ("GET", "/v1/models", b""),
    ],
)
async def test_a_small_upload_outlives_the_door_that_had_it(method: str, path: str, body: bytes) -> None:
    async with two_doors() as (port, dying, well):
        answers = await asked(port, method, path, body)
        assert {answer.status for answer in answers} == {200}
        assert dying.heard > 0, "some were asked twice"
        assert well.heard == COUNT


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/v1/models/a/predict", LARGE),
        ("POST", "/sam/", SMALL),
        ("POST", "/v1/models", SMALL),
        ("DELETE", "/v1/models/a", b""),
    ],
)
async def test_what_is_large_or_must_not_be_asked_twice_is_lost_with_its_door(
    method: str, path: str, body: bytes
) -> None:
    async with two_doors() as (port, dying, well):
        answers = await asked(port, method, path, body)
        lost = [answer for answer in answers if answer.status != 200]
        assert {(answer.status, answer.headers["retry-after"]) for answer in lost} == {(503, "2")}
        assert dying.heard == len(lost) > 0
        assert well.heard == COUNT - len(lost)
