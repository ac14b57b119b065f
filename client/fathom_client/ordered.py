"""Many things done at the same time, with their results in the order of the things, and few of them held at once."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event
from typing import TypeVar

Thing = TypeVar("Thing")
Result = TypeVar("Result")

AHEAD = 4
"""For each of those that run at the same time, so many results may wait for a slow one before them."""


def in_order(things: Iterable[Thing], work: Callable[[Thing, Event], Result], concurrency: int) -> Iterator[Result]:
    """In threads. What has begun when the iteration is given up is waited for; the event tells it to come to an
    end."""
    given_up = Event()
    pool = ThreadPoolExecutor(_checked(concurrency), thread_name_prefix="fathom-client")
    waiting: deque[Future[Result]] = deque()
    try:
        for thing in things:
            waiting.append(pool.submit(work, thing, given_up))
            if len(waiting) >= AHEAD * concurrency:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        given_up.set()
        pool.shutdown(cancel_futures=True)


async def in_order_async(
    things: Iterable[Thing], work: Callable[[Thing], Awaitable[Result]], concurrency: int
) -> AsyncGenerator[Result, None]:
    """In tasks of asyncio. What has begun when the iteration is given up is cancelled."""
    places = asyncio.Semaphore(_checked(concurrency))
    waiting: deque[asyncio.Task[Result]] = deque()

    async def at_its_place(thing: Thing) -> Result:
        async with places:
            return await work(thing)

    try:
        for thing in things:
            waiting.append(asyncio.create_task(at_its_place(thing)))
            if len(waiting) >= AHEAD * concurrency:
                yield await waiting[0]
                waiting.popleft()
        while waiting:
            yield await waiting[0]
            waiting.popleft()
    finally:
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)


def _checked(concurrency: int) -> int:
    if concurrency < 1:
        raise ValueError(f"concurrency={concurrency}: it has to be 1 at least")
    return concurrency
