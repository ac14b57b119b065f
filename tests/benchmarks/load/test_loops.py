"""The load generator against a small server in the same event loop, whose behaviour is known exactly."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from benchmarks.load.closed_loop import closed_loop
from benchmarks.load.free_ports import LOOPBACK, free_ports
from benchmarks.load.load import Target, Window
from benchmarks.load.open_loop import open_loop, poisson_arrivals
from benchmarks.load.tally import BROKEN, LOST, OK, TIMEOUT, LoadFigures

pytestmark = pytest.mark.alone

REQUEST = b"POST / HTTP/1.1\r\nContent-Length: 0\r\n\r\n"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
REFUSAL = b"HTTP/1.1 429 No\r\nContent-Length: 0\r\n\r\n"
LAST = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"

Behaviour = Callable[[int], Awaitable[bytes]]


@dataclass
class Seen:
    """What the server saw. at_once: most requests that it held at one time."""

    requests: int = 0
    connections: int = 0
    held: int = 0
    at_once: int = 0
    tasks: set[asyncio.Task[None]] = field(default_factory=set)


@asynccontextmanager
async def server(behaviour: Behaviour) -> AsyncIterator[tuple[Target, Seen]]:
    """A server that answers the n-th request with what `behaviour(n)` gives; empty bytes close the connection."""
    seen = Seen()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.connections += 1
        try:
            while True:
                await reader.readuntil(b"\r\n\r\n")
                seen.requests += 1
                seen.held += 1
                seen.at_once = max(seen.at_once, seen.held)
                answer = await behaviour(seen.requests)
                seen.held -= 1
                if not answer:
                    return
                writer.write(answer)
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()

    listening = await asyncio.start_server(serve, LOOPBACK, 0)
    port = listening.sockets[0].getsockname()[1]
    try:
        yield Target(LOOPBACK, port, REQUEST), seen
    finally:
        listening.close()


async def at_once(number: int) -> bytes:
    return ANSWER


def after(delay_s: float) -> Behaviour:
    async def behaviour(number: int) -> bytes:
        await asyncio.sleep(delay_s)
        return ANSWER

    return behaviour


async def test_a_closed_loop_holds_its_concurrency_and_measures_the_delay() -> None:
    async with server(after(0.05)) as (target, seen):
        tally = await closed_loop(target, 8, Window(0.1, 0.6))
    figures = LoadFigures.of(tally, 0.6, is_open=False)
    assert seen.at_once == 8
    assert figures.statuses.keys() == {OK}
    assert figures.latency.p50_ms is not None
    assert 50 <= figures.latency.p50_ms < 100
    # 8 clients with 50 ms each give at most 160 requests/s.
    assert 60 < figures.requests_per_s <= 165
    assert tally.ok_total > tally.ok_in_window
    assert seen.requests == tally.requests_total
    assert figures.generator_cpu_ms > 0


async def test_statuses_are_counted_apart_from_each_other() -> None:
    async def every_third_is_refused(number: int) -> bytes:
        return REFUSAL if number % 3 == 0 else ANSWER

    async with server(every_third_is_refused) as (target, _):
        tally = await closed_loop(target, 1, Window(0.0, 0.3))
    assert tally.statuses.keys() == {OK, "429"}
    assert abs(tally.statuses[OK] - 2 * tally.statuses["429"]) <= 2
    assert len(tally.latencies_s) == tally.statuses[OK]
    assert len(tally.refusal_latencies_s) == tally.statuses["429"]


async def test_a_closed_connection_is_replaced_without_an_error() -> None:
    async def last(number: int) -> bytes:
        return LAST

    async with server(last) as (target, seen):
        tally = await closed_loop(target, 2, Window(0.0, 0.2))
    assert tally.statuses.keys() == {OK}
    assert seen.connections >= seen.requests > 4


async def test_lost_connections_are_counted_and_replaced() -> None:
    async def cut_every_second(number: int) -> bytes:
        return b"" if number % 2 else ANSWER

    async with server(cut_every_second) as (target, _):
        tally = await closed_loop(target, 1, Window(0.0, 0.3))
    assert tally.statuses[LOST] > 1
    assert tally.statuses[OK] > 1


async def test_what_is_no_answer_is_counted_as_broken() -> None:
    async def nonsense(number: int) -> bytes:
        return b"nonsense\r\n\r\n"

    async with server(nonsense) as (target, _):
        tally = await closed_loop(target, 1, Window(0.0, 0.2))
    assert tally.statuses.keys() == {BROKEN}


async def test_a_server_that_is_not_there_is_counted_as_lost() -> None:
    [port] = free_ports(1)
    tally = await closed_loop(Target(LOOPBACK, port, REQUEST), 1, Window(0.0, 0.2))
    assert tally.statuses.keys() == {LOST}
    assert tally.requests_total == 0


@pytest.mark.parametrize("is_open", [False, True])
async def test_nobody_waits_for_ever(is_open: bool) -> None:
    async with server(after(60.0)) as (target, _):
        window = Window(0.0, 0.2, timeout_s=0.3)
        running = open_loop(target, 50.0, window, 1) if is_open else closed_loop(target, 4, window)
        tally = await asyncio.wait_for(running, 5.0)
    assert tally.statuses.keys() == {TIMEOUT} if is_open else tally.statuses.keys() <= {TIMEOUT}
    assert tally.ok_total == 0


async def test_an_open_loop_keeps_its_rate_whatever_the_server_does() -> None:
    async with server(after(0.2)) as (target, seen):
        tally = await open_loop(target, 100.0, Window(0.2, 1.0), seed=4)
    due = [time_s for time_s in poisson_arrivals(100.0, 1.2, 4) if time_s >= 0.2]
    assert tally.statuses == {OK: len(due)}
    assert seen.requests == len(poisson_arrivals(100.0, 1.2, 4))
    # 100 a second for 0.2 s each: about 20 under way, more than the connections it began with.
    assert seen.at_once > 16
    assert len(tally.lags_s) > 0


async def test_a_stall_shows_in_an_open_loop_and_hides_in_a_closed_one() -> None:
    """Coordinated omission: while the server stalls, a closed loop does not ask, and so does not count."""
    STALL_S = 0.5

    def stalls_once() -> Behaviour:
        is_over = asyncio.Event()

        async def behaviour(number: int) -> bytes:
            if number == 20:
                await asyncio.sleep(STALL_S)
                is_over.set()
            elif number > 20:
                await is_over.wait()
            return ANSWER

        return behaviour

    async with server(stalls_once()) as (target, _):
        hidden = await closed_loop(target, 1, Window(0.0, 1.0))
    async with server(stalls_once()) as (target, _):
        shown = await open_loop(target, 100.0, Window(0.0, 1.0), seed=2)
    closed_ms = LoadFigures.of(hidden, 1.0, False).latency.p95_ms
    open_ms = LoadFigures.of(shown, 1.0, True).latency.p95_ms
    assert closed_ms is not None
    assert open_ms is not None
    assert closed_ms < 100
    assert open_ms > 300


def test_arrivals_are_a_poisson_process_and_repeat() -> None:
    times = poisson_arrivals(200.0, 50.0, seed=9)
    assert times == poisson_arrivals(200.0, 50.0, seed=9)
    assert times != poisson_arrivals(200.0, 50.0, seed=10)
    assert abs(len(times) - 10_000) < 500
    assert times == sorted(times)
    assert times[-1] < 50.0
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    mean = sum(gaps) / len(gaps)
    spread = (sum((gap - mean) ** 2 for gap in gaps) / len(gaps)) ** 0.5
    # The gaps of a Poisson process are exponential: their spread is their mean.
    assert spread == pytest.approx(mean, rel=0.05)
