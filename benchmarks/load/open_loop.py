"""The open loop: requests arrive when they are due (a Poisson process), whether or not earlier ones are answered.

Latency counts from when a request was DUE, not from when it was sent, so that a server which stops cannot hide
the requests that would have come meanwhile (coordinated omission; Gil Tene, "How NOT to measure latency").
"""

import asyncio
import time
from collections import deque

import numpy as np

from benchmarks.load.connection import Connection
from benchmarks.load.load import Load, Target, Window
from benchmarks.load.tally import TIMEOUT, Tally

MAX_CONNECTIONS = 512
"""Above it, due requests wait in the generator, and their clock runs."""

FIRST_CONNECTIONS = 16
_OPENING_S = 2.0

_TIMER_STEP_S = 0.0005
"""Timers have a step of 1 ms: half of it is added, so that none fires just before a request is due."""


def poisson_arrivals(rate_per_s: float, seconds: float, seed: int) -> list[float]:
    """Times in seconds from 0, below `seconds`, with exponential gaps of mean 1 / `rate_per_s`."""
    generator = np.random.default_rng(seed)
    count = int(rate_per_s * seconds + 10 * (rate_per_s * seconds) ** 0.5 + 10)
    times = np.cumsum(generator.exponential(1.0 / rate_per_s, count))
    arrivals: list[float] = times[times < seconds].tolist()
    return arrivals


async def open_loop(target: Target, rate_per_s: float, window: Window, seed: int) -> Tally:
    """Loads `target` at `rate_per_s`; requests count when they are due within the window."""
    arrivals = poisson_arrivals(rate_per_s, window.warm_s + window.seconds, seed)
    return await _OpenLoop(target, window).run(arrivals)


class _OpenLoop(Load):
    async def run(self, arrivals: list[float]) -> Tally:
        self._arrivals = arrivals
        self._next = 0
        self._idle: list[Connection] = []
        self._waiting: deque[float] = deque()
        self._connections = 0
        cpu_s = time.process_time()
        await self._open_first()
        self._began_at_s = self._begin()
        self._pace()
        await self._sweep_until_over()
        self._close()
        for connection in self._idle:
            connection.abort()
        self._tally.own_cpu_s = time.process_time() - cpu_s
        return self._tally

    async def _open_first(self) -> None:
        for _ in range(FIRST_CONNECTIONS):
            self._open_one_more()
        await asyncio.wait(self._opening, timeout=_OPENING_S)

    def _pace(self) -> None:
        now_s = time.perf_counter()
        while self._next < len(self._arrivals):
            due_s = self._began_at_s + self._arrivals[self._next]
            if due_s > now_s:
                asyncio.get_running_loop().call_later(due_s - now_s + _TIMER_STEP_S, self._pace)
                return
            self._next += 1
            self._arrive(due_s, now_s)

    def _arrive(self, due_s: float, now_s: float) -> None:
        while self._idle:
            connection = self._idle.pop()
            if connection.is_usable:
                if self._counts(due_s, now_s):
                    self._tally.lags_s.append(now_s - due_s)
                self._send(connection, due_s)
                return
            self._connections -= 1
        self._waiting.append(due_s)
        self._open_one_more()

    def _open_one_more(self) -> None:
        if self._connections < MAX_CONNECTIONS:
            self._connections += 1
            self._open_soon()

    def _counts(self, since_s: float, now_s: float) -> bool:
        return self._starts_at_s <= since_s < self._ends_at_s

    def _is_over(self) -> bool:
        return self._next == len(self._arrivals) and not self._busy and not self._waiting

    def _not_opened(self) -> None:
        """The due request still waits, and is counted when it is given up."""

    def _give_up_late(self, before_s: float) -> None:
        while self._waiting and self._waiting[0] < before_s:
            self._record(TIMEOUT, self._waiting.popleft(), time.perf_counter())
        super()._give_up_late(before_s)

    def _free(self, connection: Connection) -> None:
        if not connection.is_usable:
            self._gone(connection)
        elif self._waiting:
            self._send(connection, self._waiting.popleft())
        else:
            self._idle.append(connection)

    def _gone(self, connection: Connection) -> None:
        self._connections -= 1
        if self._waiting:
            self._open_one_more()
