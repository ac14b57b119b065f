"""HTTP requests and jobs at a steady pace while something happens to the cluster, and what became of each.

Each client has the address of one node. When that node does not answer it goes to the next, as a load balancer does,
and the request that was lost that way counts as a failure of its node. A node that is to go can be left before.
"""

import base64
import itertools
import json
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx
import numpy as np
import redis

from tests.support.waiting import wait_for

QUEUE = "image_queue_cluster"
CLIENTS = 4
PACE_S = 0.2
"""Between two requests of a client, and between two jobs."""

ANSWER_S = 120.0


@dataclass(frozen=True)
class Asked:
    """One HTTP request. Times are those of `time.monotonic`."""

    host: str
    began_s: float
    ended_s: float
    status: int
    """0: the connection failed, or broke."""


@dataclass
class Load:
    """What was asked so far."""

    hosts: Sequence[str]
    store: "redis.Redis[bytes]"
    requests: list[Asked] = field(default_factory=list)
    jobs: list[str] = field(default_factory=list)
    _left: set[str] = field(default_factory=set)
    _over: threading.Event = field(default_factory=threading.Event)

    def ask_until_over(self, client: int) -> None:
        """One client: a request every PACE_S."""
        hosts = itertools.cycle([*self.hosts[client % len(self.hosts) :], *self.hosts[: client % len(self.hosts)]])
        host = next(hosts)
        with httpx.Client(timeout=httpx.Timeout(60, connect=5), trust_env=False) as http:
            while not self._over.wait(PACE_S):
                while host in self._left:
                    host = next(hosts)
                began_s = time.monotonic()
                try:
                    status = http.post(f"http://{host}:8082/predictor/", files={"file": FRAME}).status_code
                except httpx.HTTPError:
                    status = 0
                self.requests.append(Asked(host, began_s, time.monotonic(), status))
                if status != 200:
                    host = next(hosts)

    def push_until_over(self) -> None:
        """The producer of jobs, as legacy clients push them."""
        while not self._over.wait(PACE_S):
            job_id = f"cluster-{time.monotonic_ns()}"
            self.store.rpush(QUEUE, job(job_id))
            self.jobs.append(job_id)

    def leave(self, host: str) -> None:
        """Sends nothing more to a node, of several: what a load balancer does whose health check fails there."""
        self._left.add(host)

    def answered(self, since_s: float, host: str | None = None) -> int:
        """Requests answered with 200 that began after `since_s`."""
        return sum(one.status == 200 and one.began_s > since_s and host in (None, one.host) for one in self.requests)

    def failures(self) -> list[Asked]:
        """Requests that were not answered with 200."""
        return [one for one in self.requests if one.status != 200]

    def lost_jobs(self) -> int:
        """How many jobs have no answer, after all the time that they may take."""
        wait_for(lambda: not self._unanswered(), ANSWER_S, "an answer to every job", 0.5)
        return len(self._unanswered())

    def stop(self) -> None:
        """Ends the load."""
        self._over.set()

    def _unanswered(self) -> list[str]:
        jobs = list(self.jobs)
        answers = self.store.mget(jobs) if jobs else []
        return [job_id for job_id, answer in zip(jobs, answers, strict=True) if answer is None]


@contextmanager
def load(hosts: Sequence[str], store: "redis.Redis[bytes]") -> Iterator[Load]:
    """A load on these nodes and this queue, in the background; it is stopped at the end, and its answers awaited."""
    running = Load(hosts, store)
    threads = [threading.Thread(target=running.ask_until_over, args=(client,)) for client in range(CLIENTS)]
    threads.append(threading.Thread(target=running.push_until_over))
    for thread in threads:
        thread.start()
    try:
        began_s = time.monotonic()
        wait_for(
            lambda: all(running.answered(began_s, host) > 2 for host in hosts), ANSWER_S, "answers of every node"
        )
        yield running
    finally:
        running.stop()
        for thread in threads:
            thread.join()


def job(job_id: str) -> bytes:
    """A job as the legacy web server wrote it."""
    image = base64.b64encode(np.zeros((1, 8, 8, 3), np.float32).tobytes()).decode()
    return json.dumps({"id": job_id, "image": image, "height": 8, "width": 8}).encode()


def _frame() -> tuple[str, bytes, str]:
    import io

    import PIL.Image

    data = io.BytesIO()
    PIL.Image.new("RGB", (64, 48), (20, 40, 80)).save(data, "PNG")
    return ("frame.png", data.getvalue(), "image/png")


FRAME = _frame()
