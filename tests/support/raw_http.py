"""HTTP as bytes: an application behind a real server on a loopback port, and clients that may be hostile."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import orjson
import uvicorn
from starlette.types import ASGIApp

ANSWER_S = 10.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back; names of headers in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def problem(self) -> dict[str, object]:
        """The members of the problem document that the body must be."""
        assert self.headers.get("content-type") == "application/problem+json", (self.headers, self.body[:200])
        members: dict[str, object] = orjson.loads(self.body)
        assert members["status"] == self.status
        return members


@asynccontextmanager
async def serving(app: ASGIApp) -> AsyncIterator[int]:
    """The port on which `app` is served, as Ray serves it."""
    listener = socket.create_server(("127.0.0.1", 0))
    # As asyncio does only for sockets of its own: on a connection that is kept, each answer would take 40 ms else.
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    server = uvicorn.Server(uvicorn.Config(app, lifespan="off", log_config=None, access_log=False))
    server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
    task = asyncio.create_task(server.serve(sockets=[listener]))
    try:
        yield listener.getsockname()[1]
    finally:
        server.should_exit = server.force_exit = True
        await task


async def ask(port: int, request: bytes, timeout_s: float = ANSWER_S, source: str = "127.0.0.1") -> Answer:
    """The answer to the bytes of one request, on a connection of its own. source: the address of the client."""
    async with asyncio.timeout(timeout_s):
        reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=(source, 0))
        try:
            writer.write(request)
            await writer.drain()
            return await answer_from(reader, is_head=request.startswith(b"HEAD "))
        finally:
            writer.close()


async def answer_from(reader: asyncio.StreamReader, is_head: bool = False) -> Answer:
    """The next answer on a connection; raises IncompleteReadError where it ends without one."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    line, *fields = head.rstrip().split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (field.partition(":") for field in fields)}
    status = int(line.split()[1])
    if status == 100:
        return await answer_from(reader, is_head)
    body = b""
    if not is_head and "content-length" in headers:
        body = await reader.readexactly(int(headers["content-length"]))
    elif not is_head and status != 204:
        body = await reader.read()
    return Answer(status, headers, body)


def get(path: str, *headers: str) -> bytes:
    """The bytes of a request; it asks for the connection to end."""
    return "\r\n".join([f"GET {path} HTTP/1.1", "Host: door", "Connection: close", *headers, "", ""]).encode(
        "latin-1"
    )
