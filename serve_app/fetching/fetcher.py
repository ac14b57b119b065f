"""Fetches one image: only from allowed hosts, within limits of bytes, time and number."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Self
from weakref import WeakValueDictionary

import httpcore
import httpx

from deployments.byte_budget import HeldBytes
from deployments.errors import DeadlineExceeded, ImageTooLarge, InvalidImage, InvalidRequest
from serve_app.fetching.addresses import IPAddress, is_private, is_public, literal
from serve_app.fetching.allow_list import AllowedHost, AllowList
from serve_app.fetching.pinned import PinnedBackend, Resolve, SystemResolver
from serve_app.fetching.web_address import WebAddress

MOST_REDIRECTS = 5
STALL_S = 10.0
"""The longest pause of a host."""

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_HEADERS: Mapping[bytes | str, bytes | str] = {
    "User-Agent": "fathomnet-serve",
    "Accept": "image/*, */*;q=0.1",
    # What is packed may be a thousand times as large unpacked.
    "Accept-Encoding": "identity",
    "Connection": "close",
}


@dataclass(frozen=True, slots=True)
class FetchLimits:
    """What fetching may take."""

    max_bytes: int
    """Of one image."""

    timeout_s: float
    """For one image, each redirect counted anew."""

    most_at_once: int = 16
    most_of_a_host: int = 4


@dataclass(frozen=True, slots=True)
class Secret:
    """A value of the header Authorization, and the only place to which it is sent."""

    value: str
    of: WebAddress


@dataclass(frozen=True, slots=True)
class _Answer:
    """content: None where it redirects."""

    content: bytes | None
    location: str = ""


class ImageFetcher:
    """Fetches the images that clients give as addresses; one for a door."""

    def __init__(self, allowed: AllowList, limits: FetchLimits, resolve: Resolve | None = None) -> None:
        self.is_on = bool(allowed.entries)
        self._allowed = allowed
        self._limits = limits
        self._resolve = resolve or SystemResolver()
        self._at_once = asyncio.Semaphore(limits.most_at_once)
        self._of_host: WeakValueDictionary[str, asyncio.Semaphore] = WeakValueDictionary()
        self._tls: ssl.SSLContext | None = None

    @classmethod
    def of(cls, hosts: Sequence[str], max_bytes: int, timeout_s: float) -> Self:
        """The fetcher of a door with these settings."""
        return cls(AllowList.of(hosts), FetchLimits(max_bytes, timeout_s))

    async def fetch(self, text: str, held: HeldBytes, ends_at_s: float, secret: Secret | None = None) -> bytes:
        """The bytes at an address, counted into `held`. ends_at_s: on the clock of the event loop.

        Raises InvalidRequest for an address that is not fetched, InvalidImage where its host has no image for us,
        ImageTooLarge, DeadlineExceeded, and what `HeldBytes.grow` raises.
        """
        if not self.is_on:
            raise InvalidRequest(
                "URLs are not fetched here: send the image itself, or have fetch_hosts name the host"
            )
        address = _read(text)
        try:
            async with asyncio.timeout_at(ends_at_s):
                for _ in range(MOST_REDIRECTS + 1):
                    answer = await self._asked(address, held, secret)
                    if answer.content is not None:
                        return answer.content
                    address = _redirected(address, answer.location)
        except TimeoutError:
            raise DeadlineExceeded(f"{address.authority} did not send the image in time") from None
        raise InvalidRequest(f"{address.authority} redirects more than {MOST_REDIRECTS} times")

    async def _asked(self, address: WebAddress, held: HeldBytes, secret: Secret | None) -> _Answer:
        entry = self._entry_for(address)
        headers: dict[bytes | str, bytes | str] = {"Host": address.authority, **_HEADERS}
        if secret is not None and secret.of.origin == address.origin:
            headers["Authorization"] = secret.value
        of_host = self._of_host.setdefault(address.host, asyncio.Semaphore(self._limits.most_of_a_host))
        async with of_host, self._at_once, asyncio.timeout(self._limits.timeout_s):
            addresses = await self._checked(address, entry)
            async with self._answer(address, addresses, headers) as response:
                return await self._read_answer(address, response, held)

    def _entry_for(self, address: WebAddress) -> AllowedHost:
        entry = self._allowed.entry_for(address)
        if entry is None:
            raise InvalidRequest(
                f"{address.scheme}://{address.authority} is not among the hosts from which this server fetches images"
            )
        return entry

    async def _checked(self, address: WebAddress, entry: AllowedHost) -> Sequence[IPAddress]:
        """The addresses of a host, asked for once, all of which are such as the host may have."""
        own = literal(address.host)
        try:
            found = [own] if own is not None else await self._resolve(address.host, address.port)
        except OSError:
            raise InvalidImage(f"the name {address.host} cannot be resolved") from None
        for one in found:
            if not (is_public(one) or (entry.is_private and is_private(one))):
                raise InvalidRequest(f"{address.host} has the address {one}, from which nothing may be fetched")
        return found

    @asynccontextmanager
    async def _answer(
        self, address: WebAddress, addresses: Sequence[IPAddress], headers: Mapping[bytes | str, bytes | str]
    ) -> AsyncIterator[httpcore.Response]:
        """The answer, its body unread. httpcore and not httpx, which cannot be told where to connect; it reads no
        proxies from the environment, follows no redirect and unpacks nothing."""
        if self._tls is None and address.scheme == "https":
            self._tls = await asyncio.to_thread(httpx.create_ssl_context)
        url = httpcore.URL(
            scheme=address.scheme.encode(), host=address.host.encode(), port=address.port, target=address.target
        )
        network = PinnedBackend(addresses)
        connection = httpcore.AsyncHTTPConnection(url.origin, self._tls, network_backend=network)
        patience = {"timeout": {"connect": STALL_S, "read": STALL_S, "write": STALL_S}}
        try:
            async with connection, connection.stream("GET", url, headers=headers, extensions=patience) as response:
                yield response
        except httpcore.TimeoutException:
            raise DeadlineExceeded(f"{address.authority} did not answer, or paused for {STALL_S:g} s") from None
        except (httpcore.NetworkError, httpcore.ProtocolError) as error:
            why = str(error)[:200] or type(error).__name__
            raise InvalidImage(f"{address.authority} did not send the image: {why}") from None
        finally:
            await network.close()

    async def _read_answer(self, address: WebAddress, response: httpcore.Response, held: HeldBytes) -> _Answer:
        headers = {name.lower(): value.decode("latin-1") for name, value in response.headers}
        location = headers.get(b"location", "")
        if response.status in _REDIRECTS and location:
            return _Answer(None, location)
        if response.status in (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN):
            raise InvalidImage(f"{address.authority} answered {response.status}: it gives the image to others only")
        if response.status != HTTPStatus.OK:
            raise InvalidImage(f"{address.authority} answered {response.status} and no image")
        if headers.get(b"content-encoding", "identity").strip().lower() not in ("", "identity"):
            raise InvalidImage(f"{address.authority} sent the image compressed, though it was not to")
        if headers.get(b"content-type", "").lower().startswith("text/html"):
            raise InvalidImage(f"{address.authority} sent a web page and no image; perhaps it asks for a login")
        announced = headers.get(b"content-length", "")
        if announced.isdecimal() and len(announced) < 20:
            self._check_size(address, int(announced))
        chunks = []
        size_bytes = 0
        async for chunk in response.aiter_stream():
            size_bytes += len(chunk)
            self._check_size(address, size_bytes)
            held.grow(len(chunk))
            chunks.append(chunk)
        if not chunks:
            raise InvalidImage(f"{address.authority} sent an empty file")
        return _Answer(b"".join(chunks))

    def _check_size(self, address: WebAddress, size_bytes: int) -> None:
        most = self._limits.max_bytes
        if size_bytes > most:
            raise ImageTooLarge(f"{address.authority} sends {size_bytes} bytes or more, the limit is {most}")


def _read(text: str) -> WebAddress:
    try:
        return WebAddress.of(text)
    except ValueError as error:
        raise InvalidRequest(str(error)) from None


def _redirected(address: WebAddress, location: str) -> WebAddress:
    try:
        target = WebAddress.of(location, address)
    except ValueError as error:
        raise InvalidRequest(f"{address.authority} redirects elsewhere: {error}") from None
    if address.scheme == "https" and target.scheme != "https":
        raise InvalidRequest(f"{address.authority} redirects from https to {target.scheme}, which is not followed")
    return target
