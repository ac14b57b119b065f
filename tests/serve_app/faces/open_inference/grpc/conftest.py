"""A gRPC server on a free port, over the door of the other tests."""

from collections.abc import AsyncIterator

import grpc
import pytest
from starlette.types import ASGIApp

from serve_app.faces.open_inference.grpc.limits import Limits
from serve_app.settings import DoorSettings
from tests.serve_app.faces.open_inference.grpc.asking import connected, served


@pytest.fixture
async def address(api: ASGIApp, settings: DoorSettings) -> AsyncIterator[str]:
    async with served(api, Limits.of(settings)) as address:
        yield address


@pytest.fixture
async def channel(address: str) -> AsyncIterator[grpc.aio.Channel]:
    async with connected(address) as channel:
        yield channel
