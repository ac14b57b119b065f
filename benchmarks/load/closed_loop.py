"""The closed loop: a number of clients, each of which sends its next request when it has its answer."""

import time

from benchmarks.load.connection import Connection
from benchmarks.load.load import Load, Target, Window
from benchmarks.load.tally import LOST, Tally


async def closed_loop(target: Target, concurrency: int, window: Window) -> Tally:
    """Loads `target` with `concurrency` clients; answers count when they come within the window."""
    return await _ClosedLoop(target, window).run(concurrency)


class _ClosedLoop(Load):
    async def run(self, concurrency: int) -> Tally:
        cpu_s = time.process_time()
        self._begin()
        for _ in range(concurrency):
            self._open_soon()
        await self._sweep_until_over()
        self._close()
        self._tally.own_cpu_s = time.process_time() - cpu_s
        return self._tally

    def _counts(self, since_s: float, now_s: float) -> bool:
        return self._starts_at_s <= now_s < self._ends_at_s

    def _is_over(self) -> bool:
        return time.perf_counter() >= self._ends_at_s and not self._busy

    def _not_opened(self) -> None:
        now_s = time.perf_counter()
        self._record(LOST, now_s, now_s)

    def _free(self, connection: Connection) -> None:
        now_s = time.perf_counter()
        if now_s >= self._ends_at_s:
            connection.abort()
        elif connection.is_usable:
            self._send(connection, now_s)
        else:
            self._gone(connection)

    def _gone(self, connection: Connection) -> None:
        if time.perf_counter() < self._ends_at_s:
            self._open_soon()
