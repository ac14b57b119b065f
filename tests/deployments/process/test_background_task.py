"""Work in the background that is not lost from sight."""

import asyncio

import pytest

from deployments.process.background_task import BackgroundTask


async def test_it_runs_until_it_is_stopped() -> None:
    running = asyncio.Event()

    async def work() -> None:
        running.set()
        await asyncio.Event().wait()

    task = BackgroundTask("reader of tea leaves", work)
    task.check()
    task.start()
    await running.wait()
    task.check()
    await task.stop()
    with pytest.raises(RuntimeError, match="the reader of tea leaves is dead"):
        task.check()


async def test_a_health_check_tells_what_it_died_of() -> None:
    died = asyncio.Event()

    async def work() -> None:
        died.set()
        raise ValueError("no leaves")

    task = BackgroundTask("reader of tea leaves", work)
    task.start()
    await died.wait()
    with pytest.raises(RuntimeError, match="the reader of tea leaves is dead: no leaves") as raised:
        task.check()
    assert isinstance(raised.value.__cause__, ValueError)


async def test_stopping_what_was_never_started_does_nothing() -> None:
    await BackgroundTask("reader of tea leaves", lambda: asyncio.sleep(0)).stop()
