"""One soak, from the first request to the figures: steady load at both doors, a model that wakes and sleeps,
processes that are killed, and the memory of what remains.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

import psutil

from benchmarks.soak.accounts import Accounts
from benchmarks.soak.load import Clients, Doors, at_a_pace
from benchmarks.soak.memory import MemoryWatch, Trend
from deployments.serving.batching.micro_batcher import BATCHES_AT_ONCE

STEADY, SLEEPER = "steady", "sleeper"
STEADY_QUEUE, SLEEPER_QUEUE = "soak_steady", "soak_sleeper"

SECONDS_AN_IMAGE = 0.1
"""The busy model's. It waits so long for each, two at once, and computes nothing: the load is the same everywhere."""

LOAD = 0.7
"""Of what the replicas of the busy model can answer; half of it over HTTP, half in jobs."""

WAKE_EVERY_S = 60.0
SAMPLE_EVERY_S = 5.0
ANSWERS_WITHIN_S = 120.0
"""After the end of the load, for jobs that are not answered by then."""


class Site(Protocol):
    """Where the system runs. replicas: of the busy model."""

    doors: Doors
    replicas: int

    def processes(self) -> list[psutil.Process]:
        """All its living processes."""
        ...

    def kill(self, number: int) -> str:
        """Kills something, waits until the system is whole again, and says what happened. number: of kills before."""
        ...


@dataclass(slots=True)
class Found:
    """What a soak has shown. wakes_s: seconds to the answer of each wake over HTTP.  still_awake: how often the model
    that was to be woken had not gone to sleep."""

    accounts: Accounts = field(default_factory=Accounts)
    wakes: int = 0
    wakes_s: list[float] = field(default_factory=list)
    still_awake: int = 0
    kills: list[str] = field(default_factory=list)
    trends: list[Trend] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Plan:
    """How long, and how often something is killed meanwhile, at equal distances."""

    minutes: float
    kills: int = 2

    @property
    def warm_s(self) -> float:
        """Of a process's memory: it grows while caches fill, which is no slope."""
        return min(600.0, self.minutes * 60 / 4)


async def soak(site: Site, plan: Plan, say: Callable[[str], None]) -> Found:
    """Carries it out. Raises what redis-py raises when jobs cannot be pushed."""
    found, watch, is_over = Found(), MemoryWatch(), asyncio.Event()
    async with Clients(site.doors, found.accounts) as clients, asyncio.TaskGroup() as answers:
        began_s = time.monotonic()
        ends_s = began_s + plan.minutes * 60
        answers.create_task(clients.collect_until(is_over, ANSWERS_WITHIN_S))
        rate_per_s = LOAD * site.replicas * BATCHES_AT_ONCE / SECONDS_AN_IMAGE / 2
        async with asyncio.TaskGroup() as load:
            load.create_task(at_a_pace(rate_per_s, ends_s, lambda: clients.ask(STEADY), load))
            load.create_task(at_a_pace(rate_per_s, ends_s, lambda: clients.push(STEADY_QUEUE), load))
            load.create_task(_wake(clients, found, ends_s, say))
            load.create_task(_kill(site, plan, found, began_s, say))
            load.create_task(_watch_memory(site, watch, ends_s))
        is_over.set()
    found.trends = watch.trends(plan.warm_s)
    return found


async def _wake(clients: Clients, found: Found, ends_s: float, say: Callable[[str], None]) -> None:
    """Wakes the sleeper every minute, in turn over HTTP and with a job, when it has gone to sleep."""
    began_s, number = time.monotonic(), 0
    while time.monotonic() < ends_s:
        if (await clients.states()).get(SLEEPER) == "asleep":
            woken_s = time.monotonic()
            if number % 2:
                await clients.push(SLEEPER_QUEUE)
            else:
                await clients.ask(SLEEPER)
                found.wakes_s.append(time.monotonic() - woken_s)
            found.wakes += 1
        else:
            found.still_awake += 1
        number += 1
        await asyncio.sleep(max(0.0, min(ends_s, began_s + number * WAKE_EVERY_S) - time.monotonic()))
        say(f"after {(time.monotonic() - began_s) / 60:.0f} min: {found.accounts.line()}; {found.wakes} wakes")


async def _kill(site: Site, plan: Plan, found: Found, began_s: float, say: Callable[[str], None]) -> None:
    for number in range(plan.kills):
        due_s = began_s + plan.minutes * 60 * (number + 1) / (plan.kills + 1)
        await asyncio.sleep(max(0.0, due_s - time.monotonic()))
        line = await asyncio.to_thread(site.kill, number)
        found.kills.append(line)
        say(line)


async def _watch_memory(site: Site, watch: MemoryWatch, ends_s: float) -> None:
    while time.monotonic() < ends_s:
        await asyncio.to_thread(lambda: watch.sample(site.processes(), time.monotonic()))
        await asyncio.sleep(SAMPLE_EVERY_S)
