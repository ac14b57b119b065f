"""A web server of somebody else, which may be hostile: each path answers with the bytes that a test gives it."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

Misbehave = Callable[[asyncio.StreamWriter], Coroutine[Any, Any, None]]


@dataclass
class ImageHost:
    """answers: path -> the bytes of a whole answer, or what writes one. asked: the heads of all requests."""

    answers: dict[str, bytes | Misbehave] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    under_way: int = 0
    most_under_way: int = 0
    port: int = 0

    def __post_init__(self) -> None:
        self._change = asyncio.Condition()
        self.let_go = asyncio.Event()
        """What a path waits for that answers with `hold`."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def headers_of(self, path: str) -> dict[str, str]:
        """Of the last request for this path, names in lower case."""
        [*_, head] = [one for one in self.asked if one.startswith(f"GET {path} ")]
        pairs = [line.partition(":") for line in head.splitlines()[1:] if line]
        return {name.lower(): value.strip() for name, _, value in pairs}

    async def until(self, condition: Callable[[], bool], deadline_s: float = 5.0) -> None:
        """Returns when `condition` is true, which is looked at whenever a connection comes or goes."""
        async with asyncio.timeout(deadline_s), self._change:
            await self._change.wait_for(condition)

    async def _count(self, more: int) -> None:
        async with self._change:
            self.under_way += more
            self.most_under_way = max(self.most_under_way, self.under_way)
            self._change.notify_all()

    async def _until_it_is_gone(self, reader: asyncio.StreamReader, answering: Coroutine[Any, Any, None]) -> None:
        tasks = [asyncio.create_task(answering), asyncio.create_task(reader.read())]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def on_connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await self._count(1)
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            self.asked.append(head)
            answer = self.answers.get(head.split(" ")[1], reply(b"nothing here", "404 Not Found"))
            if isinstance(answer, bytes):
                writer.write(answer)
                await writer.drain()
            else:
                await self._until_it_is_gone(reader, answer(writer))
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()
            await self._count(-1)


def reply(body: bytes, status: str = "200 OK", *headers: str) -> bytes:
    """A whole answer."""
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *headers, "", ""]
    return "\r\n".join(lines).encode("latin-1") + body


def redirect(location: str) -> bytes:
    return reply(b"", "302 Found", f"Location: {location}")


@asynccontextmanager
async def image_host() -> AsyncIterator[ImageHost]:
    """On a free loopback port."""
    host = ImageHost()
    server = await asyncio.start_server(host.on_connection, "127.0.0.1", 0)
    host.port = server.sockets[0].getsockname()[1]
    try:
        yield host
    finally:
        host.let_go.set()
        server.close()
        await server.wait_closed()
        await host.until(lambda: host.under_way == 0)
