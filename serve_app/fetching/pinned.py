"""A connection to an address that was checked."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_address
from typing import Any

import httpcore

from serve_app.fetching.addresses import IPAddress

CONNECT_S = 5.0
"""For each address of a host."""

MOST_ADDRESSES = 4
"""Of one host that are tried."""

Resolve = Callable[[str, int], Awaitable[Sequence[IPAddress]]]
"""The addresses of a host, for a port. Raises OSError."""


class SystemResolver:
    """Asks the system, in threads of its own: one that is answered late must not hold up the rest of the door."""

    def __init__(self, threads: int = 4) -> None:
        self._threads = ThreadPoolExecutor(threads, "resolve")

    async def __call__(self, host: str, port: int) -> Sequence[IPAddress]:
        """All addresses, in the order in which the system would try them."""
        found = await asyncio.get_running_loop().run_in_executor(self._threads, _asked, host, port)
        return [ip_address(str(address[0])) for *_, address in found]


def _asked(host: str, port: int) -> list[Any]:
    try:
        return list(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
    except UnicodeError as error:
        # Python's own encoder of names refuses some before they are asked for.
        raise OSError(str(error)) from None


class PinnedBackend(httpcore.AsyncNetworkBackend):
    """Connects to these addresses, whatever the host is called. The name still counts for TLS: certificates are
    checked against it."""

    def __init__(self, addresses: Sequence[IPAddress]) -> None:
        self._addresses = addresses[:MOST_ADDRESSES]
        self._network = httpcore.AnyIOBackend()
        self._stream: httpcore.AsyncNetworkStream | None = None

    async def connect_tcp(self, host: str, port: int, *args: Any, **options: Any) -> httpcore.AsyncNetworkStream:
        """The first that answers. Raises httpcore's ConnectError or ConnectTimeout of the last."""
        del host, args
        options["timeout"] = CONNECT_S
        failure: Exception = httpcore.ConnectError("no address")
        for address in self._addresses:
            try:
                self._stream = await self._network.connect_tcp(str(address), port, **options)
                return self._stream
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure

    async def close(self) -> None:
        """Closes the connection, also one whose TLS was not ready yet, of which httpcore knows nothing."""
        if self._stream is not None:
            await self._stream.aclose()
