"""The address of Redis in all its forms, and clients for it. Nothing is sent yet.

redis://[user][:password]@host:port/db            one server
rediss://...?ssl_ca_certs=/path/ca.pem            the same, encrypted
unix://[user][:password]@/path.sock?db=0          through a socket of this machine
redis+sentinel://[user][:password]@host:port,host:port/service/db?sentinel_password=...
rediss+sentinel://...                             the master that sentinels name at each connect
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import redis
from redis import asyncio as redis_asyncio
from redis.asyncio import sentinel as asyncio_sentinel
from redis.asyncio.connection import SSLConnection
from redis.asyncio.connection import parse_url as parse_plain
from redis.asyncio.retry import Retry as AsyncRetry
from redis.backoff import NoBackoff
from redis.retry import Retry
from redis.sentinel import Sentinel

from deployments.process.shown_address import is_clear, shown_address
from redis_bridge.client.pools import BoundedPool, BoundedSentinelPool

SCHEMES = ("redis", "rediss", "unix", "redis+sentinel", "rediss+sentinel")

SENTINEL_PORT = 26379
SENTINEL_TIMEOUT_S = 2.0
"""For connecting to one sentinel, and for its answer; then the next one is asked."""


@dataclass(frozen=True, slots=True)
class _SentinelAddress:
    """sentinels: host and port of each.  of_sentinels, of_server: options of connections to them."""

    sentinels: tuple[tuple[str, int], ...]
    service: str
    of_sentinels: dict[str, Any]
    of_server: dict[str, Any]


def open_client(url: str, **options: Any) -> redis_asyncio.Redis:
    """A client for `url` with these options of a connection. At `max_connections` a command waits for one that is
    free. Raises ValueError for an address that is none."""
    address = _sentinel_address(url)
    if address is None:
        pool = BoundedPool.from_url(url, **options)
        client: redis_asyncio.Redis = redis_asyncio.Redis.from_pool(pool)
        _refuse_unknown_options(pool)
        return client
    # A sentinel that is away must not be waited for, with pauses: the next one may know the new master.
    of_sentinels = {**address.of_sentinels, "retry": AsyncRetry(NoBackoff(), 0)}
    sentinels: Any = asyncio_sentinel.Sentinel(  # type: ignore[no-untyped-call]  # the library's own gap
        address.sentinels, sentinel_kwargs=of_sentinels
    )
    master: redis_asyncio.Redis = sentinels.master_for(
        address.service, connection_pool_class=BoundedSentinelPool, **address.of_server, **options
    )
    return master


async def close_client(client: redis_asyncio.Redis) -> None:
    """Closes the client, and its connections to sentinels if it has any."""
    manager = getattr(client.connection_pool, "sentinel_manager", None)
    await client.aclose()
    for sentinel in manager.sentinels if manager is not None else ():
        await sentinel.aclose()


@contextlib.contextmanager
def blocking_client(url: str, **options: Any) -> Iterator[redis.Redis]:
    """The same for code without an event loop, closed at the end."""
    address = _sentinel_address(url)
    with contextlib.ExitStack() as stack:
        if address is None:
            client: redis.Redis = redis.Redis.from_url(url, **options)
            _refuse_unknown_options(client.connection_pool)
        else:
            of_sentinels = {**address.of_sentinels, "retry": Retry(NoBackoff(), 0)}
            manager: Any = Sentinel(  # type: ignore[no-untyped-call]  # the library's own gap
                address.sentinels, sentinel_kwargs=of_sentinels
            )
            for sentinel in manager.sentinels:
                stack.callback(sentinel.close)
            client = manager.master_for(address.service, **address.of_server, **options)
        stack.callback(client.close)
        yield client


def _refuse_unknown_options(pool: Any) -> None:
    """Raises ValueError for an option of the address that no connection has. The library would notice it at the first
    command, with an error that is none of its own."""
    try:
        pool.connection_class(**pool.connection_kwargs)
    except TypeError as error:
        raise ValueError(f"the address of Redis has an option that is not known: {error}") from None


def without_password(url: str) -> str:
    """`url` for logs and banners: user, password and options left out; the whole address where it is not plain which
    part of it is the password."""
    return shown_address(url).partition("?")[0]


def _sentinel_address(url: str) -> _SentinelAddress | None:
    """The parts of a sentinel's address, None for any other. Raises ValueError, with no password in its text."""
    if url.partition("://")[0] not in SCHEMES or "://" not in url:
        raise ValueError(f"the address of Redis must begin with {', '.join(f'{each}://' for each in SCHEMES)}")
    if not is_clear(url):
        raise ValueError(
            "the address of Redis cannot be read: within a user, a password or an option the characters / ? # and @ "
            "must be written as %2F, %3F, %23 and %40 (it is not shown, as it may hold a password)"
        )
    parts = urlsplit(url)
    plain_scheme, is_plain, _ = parts.scheme.partition("+sentinel")
    if not is_plain:
        return None
    credentials, at, hosts = parts.netloc.rpartition("@")
    service, _, database = parts.path.strip("/").partition("/")
    if not service or not hosts:
        raise ValueError(
            f"{parts.scheme}:// must name sentinels and a service: {parts.scheme}://host:port,.../service"
        )
    plain_url = urlunsplit((plain_scheme, f"{credentials}{at}localhost", f"/{database}", parts.query, ""))
    options: dict[str, Any] = dict(parse_plain(plain_url))
    del options["host"]
    of_sentinels = {
        "username": options.pop("sentinel_username", None),
        "password": options.pop("sentinel_password", None),
        "socket_timeout": SENTINEL_TIMEOUT_S,
        "socket_connect_timeout": SENTINEL_TIMEOUT_S,
    }
    if options.pop("connection_class", None) is SSLConnection:
        options["ssl"] = True
    of_sentinels |= {name: value for name, value in options.items() if name.startswith("ssl")}
    return _SentinelAddress(tuple(_host_and_port(host) for host in hosts.split(",")), service, of_sentinels, options)


def _host_and_port(text: str) -> tuple[str, int]:
    parts = urlsplit(f"//{text}")
    return parts.hostname or "localhost", parts.port or SENTINEL_PORT
