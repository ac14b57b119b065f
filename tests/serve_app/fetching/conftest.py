"""A host of images, and the bytes that a request holds."""

from collections.abc import AsyncIterator

import pytest

from deployments.byte_budget import ByteBudget, HeldBytes
from tests.support.image_host import ImageHost, image_host


@pytest.fixture
async def host() -> AsyncIterator[ImageHost]:
    async with image_host() as served:
        yield served


@pytest.fixture
def held() -> HeldBytes:
    return ByteBudget(400_000, "memory for uploads").open("client")
