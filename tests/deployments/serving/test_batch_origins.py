"""A line about a batch, and whoever watches it, has the ids of the requests in it."""

import asyncio
import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pytest

from deployments.errors import InternalError
from deployments.logs import OWN_LOGGER
from deployments.origin import Origin
from deployments.serving.batching.batch_policy import AdaptiveBatchPolicy
from deployments.serving.batching.micro_batcher import MicroBatcher


async def twice(items: Sequence[int]) -> list[int]:
    if 0 in items:
        raise ZeroDivisionError
    return [2 * item for item in items]


async def submit_together(batcher: MicroBatcher[int, int], items: Sequence[int]) -> list[object]:
    until_s = time.monotonic() + 10
    asked = [batcher.submit(item, until_s, Origin(f"frame-{item}")) for item in items]
    return await asyncio.gather(*asked, return_exceptions=True)


async def test_a_batch_that_fails_names_its_requests_and_then_the_one_at_fault(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, OWN_LOGGER)
    batcher = MicroBatcher(twice, AdaptiveBatchPolicy(4), max_waiting=8)
    failed, *others = await submit_together(batcher, [0, 1, 2])
    await batcher.close()
    assert isinstance(failed, InternalError)
    assert [getattr(one, "result", None) for one in others] == [2, 4]
    lines = [(one.getMessage(), getattr(one, "request_id", "")) for one in caplog.records]
    assert lines == [("a batch of 3 failed", "frame-0,frame-1,frame-2"), ("an image failed alone, too", "frame-0")]


async def test_whoever_watches_sees_each_run_with_its_requests() -> None:
    seen: list[list[str]] = []

    @contextmanager
    def around(origins: Sequence[Origin | None]) -> Iterator[None]:
        seen.append([one.request_id for one in origins if one is not None])
        yield

    batcher = MicroBatcher(twice, AdaptiveBatchPolicy(4), max_waiting=8)
    batcher.around_batch = around
    await submit_together(batcher, [1, 2])
    await submit_together(batcher, [0, 3])
    await batcher.close()
    assert seen == [["frame-1", "frame-2"], ["frame-0", "frame-3"], ["frame-0"], ["frame-3"]]
