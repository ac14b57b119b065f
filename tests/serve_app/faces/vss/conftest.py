"""A door with a model that embeds, and one that asks for keys."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from tests.serve_app.access.guarded import Guarded, bearer
from tests.serve_app.faces.vss.embedding_system import (
    BLUE,
    GREEN,
    PROJECT,
    RED,
    EmbeddingSystem,
    body_of,
    embedding_system,
    files,
)


@pytest.fixture
def system() -> EmbeddingSystem:
    return embedding_system()


@pytest.fixture
def guarded(tmp_path: Path, system: EmbeddingSystem) -> Guarded:
    return Guarded(tmp_path, system)


@pytest.fixture
async def admin(guarded: Guarded) -> AsyncIterator[httpx.AsyncClient]:
    """A client with a key that has the scope admin, of a door beside that of `client`."""
    async with guarded.client() as http:
        http.headers.update(bearer(guarded.admin))
        yield http


@pytest.fixture
async def labelled(admin: httpx.AsyncClient) -> None:
    """PROJECT has three labelled images."""
    for label, name, content in (("Crab", "c1", RED), ("Kelp", "k1", GREEN), ("Atolla", "a1", BLUE)):
        sent = files(content, names=[f"crops/{name}.png"])
        body_of(await admin.post(f"/vss/vectors/{PROJECT}", files=sent, data={"label": label, "model": "vit"}))
