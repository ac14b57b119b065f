"""What tests of tiles share."""

import pytest

from tests.deployments.serving.tiling.tiled import BatchCount


@pytest.fixture
async def meter() -> BatchCount:
    return BatchCount()
