"""What the closed and the open loop share: a target, a window of time, and the books. Knows no system.

The loops are callbacks on raw connections: a task or a future for each request would cost more than the request,
and the generator shares its machine with the server.
"""

import asyncio
import time
from dataclasses import dataclass

from benchmarks.load.connection import Connection
from benchmarks.load.http_wire import Answer
from benchmarks.load.tally import BROKEN, LOST, OK, TIMEOUT, Tally

SWEEP_S = 0.05
"""How often late requests are looked for."""

RECONNECT_S = 0.05


@dataclass(frozen=True, slots=True)
class Target:
    """Where to send what. request: the whole request as bytes."""

    host: str
    port: int
    request: bytes


@dataclass(frozen=True, slots=True)
class Window:
    """warm_s: load before anything is counted.  seconds: the counted time.  timeout_s: when a request is given
    up, counted from when it was sent (closed loop) or due (open loop)."""

    warm_s: float
    seconds: float
    timeout_s: float = 30.0


class Load:
    """The books of one run. A subclass decides when requests are sent."""

    def __init__(self, target: Target, window: Window) -> None:
        self._target = target
        self._window = window
        self._tally = Tally()
        self._busy: set[Connection] = set()
        self._opening: set[asyncio.Task[None]] = set()
        self._starts_at_s = 0.0
        self._ends_at_s = 0.0

    def answered(self, connection: Connection, answer: Answer) -> None:
        """Called by the connection."""
        self._over(connection, f"{answer.status}")
        self._free(connection)

    def failed(self, connection: Connection, is_broken: bool) -> None:
        """Called by the connection."""
        self._over(connection, BROKEN if is_broken else LOST)
        connection.abort()
        self._gone(connection)

    def _begin(self) -> float:
        began_at_s = time.perf_counter()
        self._starts_at_s = began_at_s + self._window.warm_s
        self._ends_at_s = self._starts_at_s + self._window.seconds
        return began_at_s

    async def _sweep_until_over(self) -> None:
        while not self._is_over():
            await asyncio.sleep(SWEEP_S)
            self._give_up_late(time.perf_counter() - self._window.timeout_s)

    def _close(self) -> None:
        for task in self._opening:
            task.cancel()
        for connection in self._busy:
            connection.abort()

    def _send(self, connection: Connection, since_s: float) -> None:
        self._busy.add(connection)
        self._tally.requests_total += 1
        connection.send(self._target.request, since_s)

    def _over(self, connection: Connection, status: str) -> None:
        now_s, since_s = time.perf_counter(), connection.since_s
        connection.since_s = None
        self._busy.discard(connection)
        if since_s is not None:
            self._record(status, since_s, now_s)

    def _record(self, status: str, since_s: float, now_s: float) -> None:
        if status == OK:
            self._tally.ok_total += 1
            self._tally.ok_in_window += self._starts_at_s <= now_s < self._ends_at_s
        if self._counts(since_s, now_s):
            self._tally.count(status, now_s - since_s)

    def _give_up_late(self, before_s: float) -> None:
        late = [one for one in self._busy if one.since_s is not None and one.since_s < before_s]
        for connection in late:
            self._over(connection, TIMEOUT)
            connection.abort()
            self._gone(connection)

    def _open_soon(self) -> None:
        task = asyncio.get_running_loop().create_task(self._open())
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)

    async def _open(self) -> None:
        while not self._is_over():
            try:
                _, connection = await asyncio.get_running_loop().create_connection(
                    lambda: Connection(self), self._target.host, self._target.port
                )
            except OSError:
                self._not_opened()
                await asyncio.sleep(RECONNECT_S)
                continue
            self._free(connection)
            return

    def _counts(self, since_s: float, now_s: float) -> bool:
        """Whether a request that began at `since_s` and is over at `now_s` belongs to the window."""
        raise NotImplementedError

    def _is_over(self) -> bool:
        """Whether every request has been sent and is over."""
        raise NotImplementedError

    def _not_opened(self) -> None:
        """The server did not take a connection; another try follows."""
        raise NotImplementedError

    def _free(self, connection: Connection) -> None:
        """The connection has nothing under way; it may be of no use any more."""
        raise NotImplementedError

    def _gone(self, connection: Connection) -> None:
        """The connection was aborted."""
        raise NotImplementedError
