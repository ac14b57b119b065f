"""A door on a real port, over a model that answers in process, for tools that run in processes of their own."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from starlette.types import ASGIApp

from tests.serve_app.conftest import FakeSystem, record
from tests.serve_app.real_door import door_of
from tests.support.raw_http import serving


@pytest.fixture
def system() -> FakeSystem:
    return FakeSystem([record("benthic-demo", queues=["image_queue_yolov5"], required=True, licence="CC-BY-4.0")])


@pytest.fixture
def max_upload_bytes() -> int:
    return 200_000


@pytest.fixture
def door(system: FakeSystem, max_upload_bytes: int, tmp_path: Path) -> Iterator[str]:
    """Its address."""
    with running(system, door_of(system, tmp_path, max_upload_bytes=max_upload_bytes)) as url:
        yield url


@contextmanager
def running(system: FakeSystem, app: ASGIApp) -> Iterator[str]:
    """The address of `app`, the door of `system`. It runs in a thread, as the test waits for a process."""
    ports: list[int] = []
    is_up, is_over = threading.Event(), asyncio.Event()

    async def serve() -> None:
        async with serving(app) as port:
            ports.append(port)
            is_up.set()
            await is_over.wait()
        if system.replica is not None:
            await system.replica.close()

    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    try:
        assert is_up.wait(30)
        yield f"http://127.0.0.1:{ports[0]}"
    finally:
        loop.call_soon_threadsafe(is_over.set)
        thread.join()
        loop.close()
