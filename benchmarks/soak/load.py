"""Clients at both doors, at a steady pace, whatever becomes of what they ask: an open loop, as a system that is slow
for a while must not be spared meanwhile.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import httpx
import redis.asyncio

from benchmarks.load.redis_jobs import JobMaker, new_ids
from benchmarks.sample_images import HD, SMALL, sample_image
from benchmarks.soak.accounts import OK, Accounts

TIMEOUT_S = 70.0
"""Of a request. The doors answer in less."""

LARGE_JOB_EVERY = 20
"""Of so many jobs, one has an image of 1280 x 720: 15 MB, as legacy clients write it. The others have 64 x 64."""

COLLECT_EVERY_S = 0.2

MOST_CONNECTIONS = 10_000
"""To Redis. With redis-py's own limit, 100, a server that stalls for some seconds would end the soak."""


@dataclass(frozen=True, slots=True)
class Doors:
    """Where a system is asked. urls: of the HTTP door, one for each node that answers."""

    urls: Sequence[str]
    redis_url: str


class Clients:
    """Ask models over HTTP and with jobs, and keep account. A context manager."""

    def __init__(self, doors: Doors, accounts: Accounts) -> None:
        self._urls = list(doors.urls)
        self.accounts = accounts
        self._upload = sample_image(HD).upload
        self._small, self._large = JobMaker(sample_image(SMALL)), JobMaker(sample_image(HD))
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=16)
        self._http = httpx.AsyncClient(timeout=httpx.Timeout(TIMEOUT_S, connect=5), limits=limits, trust_env=False)
        self._store: redis.asyncio.Redis = redis.asyncio.Redis.from_url(
            doors.redis_url,
            max_connections=MOST_CONNECTIONS,
            # A server that stalls on a busy disk is late, and that shows in the figures; it is no reason to end.
            socket_timeout=TIMEOUT_S,
            socket_connect_timeout=TIMEOUT_S,
        )

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.aclose()
        await self._store.aclose()

    async def ask(self, model: str) -> None:
        """One request. What one node does not answer with 200, the next one is asked, as a load balancer does."""
        number = self.accounts.requests
        self.accounts.requests += 1
        began_s = time.monotonic()
        for again in range(len(self._urls)):
            outcome = await self._ask_at(self._urls[(number + again) % len(self._urls)], model)
            if outcome == OK:
                self.accounts.hidden += again > 0
                break
        self.accounts.request_is_over(outcome, time.monotonic() - began_s)

    async def push(self, queue: str) -> None:
        """One job, pushed as legacy clients do. Raises what redis-py raises."""
        [job_id] = new_ids(1)
        maker = self._small if (self.accounts.jobs + 1) % LARGE_JOB_EVERY else self._large
        payload = await asyncio.to_thread(maker.job, job_id)
        self.accounts.job_is_pushed(job_id)
        await self._store.rpush(queue, payload)

    async def collect_until(self, is_over: asyncio.Event, patience_s: float) -> None:
        """Reads answers until the load is over and every job has one, or `patience_s` after the load."""
        ends_at_s = None
        while True:
            await self._collect()
            if is_over.is_set():
                ends_at_s = ends_at_s or time.monotonic() + patience_s
                if not self.accounts.waiting or time.monotonic() > ends_at_s:
                    return
            await asyncio.sleep(COLLECT_EVERY_S)

    async def states(self) -> dict[str, str]:
        """The state of each model, as the first node that answers lists them; empty when none does."""
        for url in self._urls:
            try:
                answer = (await self._http.get(f"{url}/v1/models")).raise_for_status()
            except httpx.HTTPError:
                continue
            return {one["name"]: one["state"] for one in answer.json()["models"]}
        return {}

    async def _ask_at(self, url: str, model: str) -> str:
        file = (self._upload.file_name, self._upload.content, self._upload.media_type)
        try:
            answer = await self._http.post(f"{url}/predictor/", data={"model_type": model}, files={"file": file})
        except httpx.HTTPError as error:
            return type(error).__name__
        kind = "" if answer.is_success else _problem_of(answer)
        return f"{answer.status_code} {kind}".strip()

    async def _collect(self) -> None:
        ids = list(self.accounts.waiting)
        if not ids:
            return
        answers: list[Any] = await self._store.mget(ids)
        done = {job_id: answer for job_id, answer in zip(ids, answers, strict=True) if answer is not None}
        for job_id, answer in done.items():
            self.accounts.job_is_answered(job_id, answer)
        if done:
            await self._store.unlink(*done)


def _problem_of(answer: httpx.Response) -> str:
    """The title of a problem document; empty where there is none."""
    try:
        document = answer.json()
    except ValueError:
        return ""
    return str(document.get("title", "")) if isinstance(document, dict) else ""


async def at_a_pace(rate_per_s: float, ends_at_s: float, call: Any, tasks: asyncio.TaskGroup) -> None:
    """Starts a `call` whenever one is due, until `ends_at_s` of the monotonic clock; does not wait for any."""
    began_s, number = time.monotonic(), 0
    while (due_s := began_s + number / rate_per_s) < ends_at_s:
        await asyncio.sleep(max(0.0, due_s - time.monotonic()))
        tasks.create_task(call())
        number += 1
