"""Hundreds of clients that hold connections and do nothing good with them cost the others little time, and the door
no memory that it does not give back."""

import socket
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager

import httpx
import psutil
import pytest

from tests.support.waiting import wait_for
from tests.system.conftest import SAMPLES, RunningSystem, tell

pytestmark = [pytest.mark.scaling, pytest.mark.timeout(900)]

PREDICT = "/v1/models/benthic-demo/predict"
FRAME = (SAMPLES / "seafloor-1.png").read_bytes()
STALLED = 100
"""Clients of each kind. Each kind has an address of its own, as limits are by address."""

GOOD, UPLOADS_EACH = 20, 3
ROUNDS = 3
MOST_GROWTH_BYTES = 64 * 2**20
"""Of the door and of HAProxy, from the first round to the last: an eighth of what uploads may hold."""

HEAD = f"POST {PREDICT} HTTP/1.1\r\nHost: a\r\nContent-Type: image/png\r\n".encode()
ASKS = b"GET /docs/swagger/swagger-ui-bundle.js HTTP/1.1\r\nHost: a\r\n\r\n" * 3
"""Megabytes: far more than what fits between the door and a client that reads nothing."""

CALM_CPU_S = 0.02
ESTABLISHED = b"\x01"
"""The state of a connection that neither side has closed, in TCP_INFO."""

Stall = Callable[[socket.socket], None]


def stalls_in_its_head(client: socket.socket) -> None:
    client.sendall(HEAD)


def stalls_in_its_body(client: socket.socket) -> None:
    client.sendall(HEAD + b"Content-Length: 3000000\r\n\r\n" + FRAME[:1000])


def never_reads(client: socket.socket) -> None:
    client.sendall(ASKS)


KINDS: dict[str, Stall] = {
    "127.0.0.2": stalls_in_its_head,
    "127.0.0.3": stalls_in_its_body,
    "127.0.0.4": never_reads,
}


@contextmanager
def stalled_clients(port: int) -> Iterator[list[socket.socket]]:
    """All of them, connected at once."""
    with ExitStack() as stack:
        clients: list[socket.socket] = []
        for address, stall in KINDS.items():
            for _ in range(STALLED):
                client = stack.enter_context(socket.socket())
                client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                client.bind((address, 0))
                client.settimeout(10)
                client.connect(("127.0.0.1", port))
                stall(client)
                clients.append(client)
        yield clients


def p95_s(url: str) -> float:
    """Of the uploads of all good clients; each must be answered."""

    def upload(_: int) -> list[float]:
        taken = []
        # Without certificates, which take longer to read than an upload does.
        with httpx.Client(base_url=url, timeout=60, trust_env=False, verify=False) as http:
            for _ in range(UPLOADS_EACH):
                began_at_s = time.monotonic()
                answer = http.post(PREDICT, content=FRAME)
                taken.append(time.monotonic() - began_at_s)
                assert answer.status_code == 200, answer.text
        return taken

    with ThreadPoolExecutor(GOOD) as clients:
        taken = [seconds for one in clients.map(upload, range(GOOD)) for seconds in one]
    return statistics.quantiles(taken, n=20)[-1]


def way_in(system: RunningSystem) -> list[psutil.Process]:
    """The door and HAProxy."""
    launcher = psutil.Process(system.process.pid)
    proxies = [one for one in launcher.children(recursive=True) if "haproxy" in one.name()]
    assert proxies
    return [*proxies, *(psutil.Process(pid) for pid in system.processes("api"))]


def wait_until_calm(processes: list[psutil.Process]) -> None:
    """Those who connect at once, and are sent megabytes, are work; what is measured is how they stand there."""
    last = [0.0]

    def is_calm() -> bool:
        used_s = sum(one.cpu_times().user + one.cpu_times().system for one in processes)
        is_so = used_s - last[0] <= CALM_CPU_S
        last[0] = used_s
        return is_so

    wait_for(is_calm, 8, "calm", poll_interval_s=0.3)


def held(clients: Sequence[socket.socket]) -> int:
    """How many of these connections the system has not closed."""
    return sum(one.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1) == ESTABLISHED for one in clients)


def held_bytes(system: RunningSystem) -> int:
    return sum(one.memory_info().rss for one in way_in(system))


def test_twenty_good_clients_notice_little_of_three_hundred_stalled_ones(system: RunningSystem) -> None:
    port, url = int(system.environ["FATHOM_HTTP_PORT"]), str(system.http.base_url)
    p95_s(url)  # so that all batch sizes have run
    before_s = p95_s(url)
    beside_s, held_after = [], []
    for _ in range(ROUNDS):
        with stalled_clients(port) as clients:
            wait_until_calm(way_in(system))
            beside_s.append(p95_s(url))
            # HAProxy closes those that do not finish their head.
            assert held(clients) >= 2 * STALLED
            assert system.http.get("/health/live", timeout=5).status_code == 200
        wait_for(lambda: system.http.get("/v1/system").json()["uploads"]["held_bytes"] == 0, 30, "uploads given back")
        held_after.append(held_bytes(system))
    alone_s = max(before_s, p95_s(url))
    shown = ", ".join(f"{seconds:.2f}" for seconds in beside_s)
    tell(f"p95 of {GOOD} clients: {alone_s:.2f} s alone, {shown} s beside {STALLED * len(KINDS)} stalled ones")
    tell(f"door and HAProxy after each round: {', '.join(f'{one / 2**20:.0f}' for one in held_after)} MiB")
    assert held_after[-1] - held_after[0] < MOST_GROWTH_BYTES
    assert statistics.median(beside_s) < 2 * alone_s
