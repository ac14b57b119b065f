"""The connection to Redis, made for a server that may be away at any time."""

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import OutOfMemoryError, RedisError
from redis.retry import Retry as BlockingRetry

from deployments.logs import OWN_LOGGER
from redis_bridge.client.bulk_read import BulkReader
from redis_bridge.client.urls import blocking_client, close_client, open_client

logger = logging.getLogger(OWN_LOGGER)

REDIS_ERRORS = (RedisError, OSError)
"""What a Redis command may raise when the server is away, full, loading or restarting."""

CONNECT_TIMEOUT_S = 5.0
ANSWER_TIMEOUT_S = 10.0
_READ_BYTES = 2**20

COMMANDS_AT_ONCE = 32
"""Connections for commands that end at once; one command more waits for a free one. Reading a whole group is one
command, so that more would only keep a server busier that has one thread."""

VITAL_CONNECTIONS = 4
"""For the heartbeat, the sweep and the watch: theirs alone, so that no queue's command is before them."""

VITAL_TIMEOUT_S = 6.0
"""For an answer on these: the heartbeat has still not expired then."""

_NO_BOUND = 2**31

T = TypeVar("T")


def connect(url: str, longest_block_s: float) -> Redis:
    """A client for `url` for commands that end at once; nothing is sent yet. Raises ValueError for an address that
    is none."""
    return _client(url, longest_block_s, COMMANDS_AT_ONCE)


def connect_waiting(url: str, longest_block_s: float) -> Redis:
    """A client for those that wait inside Redis: it has as many connections as there are queues."""
    return _client(url, longest_block_s, _NO_BOUND)


def connect_vital(url: str) -> Redis:
    """A client for what keeps a bridge alive, which never blocks. A dead connection must not cost it a heartbeat."""
    return _client(url, 0.0, VITAL_CONNECTIONS, VITAL_TIMEOUT_S)


def _client(url: str, longest_block_s: float, most: int, timeout_s: float = ANSWER_TIMEOUT_S) -> Redis:
    return open_client(
        url,
        max_connections=most,
        # The library must not repeat a command by itself: a second BLMOVE would put two jobs under one lease.
        retry=Retry(NoBackoff(), 0),
        # Above the longest blocking read, which it would otherwise abort.
        socket_timeout=longest_block_s + timeout_s,
        socket_connect_timeout=min(CONNECT_TIMEOUT_S, timeout_s),
        # Jobs are tens of megabytes: in steps of 32 KiB reading one takes three times as long.
        socket_read_size=_READ_BYTES,
    )


def is_full(error: Exception) -> bool:
    """Whether a command was refused because Redis has reached its memory limit."""
    return isinstance(error, OutOfMemoryError) or str(error).startswith("OOM ")


@contextlib.contextmanager
def connect_bulk(url: str, longest_block_s: float) -> Iterator[BulkReader]:
    """Connections for large jobs, beside those of `connect`; nothing is sent yet."""
    options: dict[str, Any] = {
        "retry": BlockingRetry(NoBackoff(), 0),
        "socket_timeout": longest_block_s + ANSWER_TIMEOUT_S,
        "socket_connect_timeout": CONNECT_TIMEOUT_S,
        "protocol": 2,
    }
    with blocking_client(url, **options) as client:
        yield BulkReader(client)


@dataclass(frozen=True, slots=True)
class Connections:
    """What a bridge needs of Redis. bulk: for large jobs; without it they come over `redis` like all others.
    waiting, vital: of `connect_waiting` and `connect_vital`; without them all share `redis`."""

    redis: Redis
    bulk: BulkReader | None = None
    waiting: Redis | None = None
    vital: Redis | None = None


@contextlib.asynccontextmanager
async def connected(url: str, longest_block_s: float) -> AsyncIterator[Connections]:
    """All connections of a bridge, closed at the end; nothing is sent yet. Raises ValueError for an address that is
    none."""
    async with contextlib.AsyncExitStack() as stack:
        redis = connect(url, longest_block_s)
        stack.push_async_callback(close_client, redis)
        waiting = connect_waiting(url, longest_block_s)
        stack.push_async_callback(close_client, waiting)
        vital = connect_vital(url)
        stack.push_async_callback(close_client, vital)
        yield Connections(redis, stack.enter_context(connect_bulk(url, longest_block_s)), waiting, vital)


class Backoff:
    """Growing pauses between attempts, with jitter, so that many clients do not come back at the same moment."""

    def __init__(self, shortest_s: float = 0.05, longest_s: float = 2.0) -> None:
        self._shortest_s = shortest_s
        self._longest_s = longest_s
        self._next_s = shortest_s

    def next_s(self) -> float:
        """Seconds to wait now; twice as many next time."""
        pause_s = self._next_s * random.uniform(0.75, 1.25)
        self._next_s = min(self._next_s * 2, self._longest_s)
        return pause_s

    def reset(self) -> None:
        """After a success: the next pause is the shortest again."""
        self._next_s = self._shortest_s


async def pause(seconds: float, stop: asyncio.Event) -> None:
    """Waits `seconds`, or until `stop` is set."""
    try:
        await asyncio.wait_for(stop.wait(), seconds)
    except TimeoutError:
        return


class ErrorLog:
    """Logs an outage without filling the log: one warning for each kind of error and period."""

    def __init__(self, period_s: float = 10.0) -> None:
        self._period_s = period_s
        self._warned_at_s: dict[str, float] = {}

    def warn(self, what: str, error: Exception) -> None:
        """what: what could not be done, one of few texts."""
        now_s = time.monotonic()
        is_due = now_s - self._warned_at_s.get(what, float("-inf")) >= self._period_s
        if is_due:
            self._warned_at_s[what] = now_s
        logger.log(logging.WARNING if is_due else logging.DEBUG, "%s, trying again: %s", what, error)


async def until_done(
    command: Callable[[], Awaitable[T]], stop: asyncio.Event, on_error: Callable[[Exception], None]
) -> T | None:
    """The result of `command`, repeated with growing pauses while commands fail.

    None when `stop` was set before it succeeded. `command` must be harmless when it is run twice, since the
    answer to a command that was carried out may be lost.
    """
    backoff = Backoff()
    while True:
        try:
            return await command()
        except REDIS_ERRORS as error:
            on_error(error)
        if stop.is_set():
            return None
        await pause(backoff.next_s(), stop)
