"""A door on a real port, over a model that answers in process, for tools that run in processes of their own."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import pytest
from starlette.types import ASGIApp

from serve_app.faces.open_inference.grpc.limits import Limits
from serve_app.settings import DoorSettings
from tests.serve_app.conftest import FakeSystem, record
from tests.serve_app.faces.open_inference.grpc.asking import served
from tests.serve_app.real_door import door_of
from tests.support.raw_http import serving

Place = TypeVar("Place")


@pytest.fixture
def system() -> FakeSystem:
    return FakeSystem([record("benthic-demo", queues=["image_queue_yolov5"], required=True, licence="CC-BY-4.0")])


@pytest.fixture
def max_upload_bytes() -> int:
    return 200_000


@dataclass(frozen=True)
class Doors:
    """The same door, over HTTP and over gRPC."""

    url: str
    grpc: str
    """HOST:PORT."""


@pytest.fixture
def doors(system: FakeSystem, max_upload_bytes: int, tmp_path: Path) -> Iterator[Doors]:
    app = door_of(system, tmp_path, max_upload_bytes=max_upload_bytes)

    @asynccontextmanager
    async def both() -> AsyncIterator[Doors]:
        limits = Limits.of(DoorSettings(max_upload_bytes=max_upload_bytes))
        async with serving(app) as port, served(app, limits) as address:
            yield Doors(f"http://127.0.0.1:{port}", address)

    with _in_a_thread(system, both()) as found:
        yield found


@pytest.fixture
def door(doors: Doors) -> str:
    """Its address."""
    return doors.url


@pytest.fixture
def grpc_address(doors: Doors) -> str:
    return doors.grpc


@contextmanager
def running(system: FakeSystem, app: ASGIApp) -> Iterator[str]:
    """The address of `app`, the door of `system`."""
    with _in_a_thread(system, serving(app)) as port:
        yield f"http://127.0.0.1:{port}"


@contextmanager
def _in_a_thread(system: FakeSystem, server: AbstractAsyncContextManager[Place]) -> Iterator[Place]:
    """Where `server` is, which runs in a thread, as the test waits for a process."""
    places: list[Place] = []
    is_up, is_over = threading.Event(), asyncio.Event()

    async def serve() -> None:
        async with server as place:
            places.append(place)
            is_up.set()
            await is_over.wait()
        if system.replica is not None:
            await system.replica.close()

    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    try:
        assert is_up.wait(30)
        yield places[0]
    finally:
        loop.call_soon_threadsafe(is_over.set)
        thread.join()
        loop.close()
