"""A web server, an empty cache and weights to fetch."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from deployments.weights.settings import WeightsSettings
from tests.deployments.weights.file_server import FileServer, file_server


@pytest.fixture
def server() -> Iterator[FileServer]:
    with file_server() as running:
        yield running


@pytest.fixture
def cache(tmp_path: Path) -> WeightsSettings:
    return WeightsSettings(dir=tmp_path / "cache")


@pytest.fixture
def content() -> bytes:
    return bytes(range(256)) * 4096
