"""What goes through the micro-batcher: an item that waits, a batch that runs, and what comes out."""

import asyncio
import time
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from deployments.errors import DeadlineExceeded
from deployments.origin import Origin

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class Batched(Generic[R]):
    """One item's result, how long it waited, and how long its batch of `batch_size` items ran."""

    result: R
    wait_s: float
    run_s: float
    batch_size: int


@dataclass(slots=True, eq=False)
class BatchItem(Generic[T, R]):
    """One item that waits for its batch, or is in one."""

    item: T
    expires_at_s: float
    """On the monotonic clock."""
    future: asyncio.Future[Batched[R]]
    origin: Origin | None = None
    entered_at_s: float = field(default_factory=time.monotonic)


@dataclass(frozen=True, slots=True, eq=False)
class Run(Generic[T, R]):
    """A batch that was started."""

    batch: list[BatchItem[T, R]]
    number: int
    """Of all batches that were started."""
    is_first: bool
    """Whether no other ran when it was started."""
    present: int
    """Images in work or waiting when it was started, its own among them."""
    started_at_s: float = field(default_factory=time.monotonic)


def is_late(entry: BatchItem[T, R], now_s: float) -> bool:
    """Whether its time is over; it gets its error then."""
    if entry.expires_at_s > now_s:
        return False
    fail(entry, DeadlineExceeded("the time was over before the image's turn came"))
    return True


def fail(entry: BatchItem[T, R], error: Exception) -> None:
    """`error` is the outcome of `entry`, unless it has one."""
    if not entry.future.done():
        entry.future.set_exception(error)
