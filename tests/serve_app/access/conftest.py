"""A door that asks for keys."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from tests.serve_app.access.guarded import Guarded
from tests.serve_app.conftest import FakeSystem


@pytest.fixture
def guarded(tmp_path: Path, system: FakeSystem) -> Guarded:
    return Guarded(tmp_path, system)


@pytest.fixture
async def door(guarded: Guarded) -> AsyncIterator[httpx.AsyncClient]:
    async with guarded.client() as http:
        yield http
