"""The face over real HTTP."""

from collections.abc import AsyncIterator
from pathlib import Path

from serve_app.access.guard import Access
from serve_app.api import Entrance, create_api
from serve_app.faces.face import ModelAccess
from serve_app.faces.system.routes import System
from serve_app.settings import DoorSettings
from tests.serve_app.conftest import CountedAnswers
from tests.serve_app.faces.vss.embedding_system import EmbeddingSystem
from tests.support.raw_http import serving


async def metrics_text() -> str:
    return ""


async def served(system: EmbeddingSystem, folder: Path, access: Access | None = None) -> AsyncIterator[str]:
    """The address of the face on a real port, without its scheme."""
    models = ModelAccess(system, system.predict, system.ask_external, system.vectors)
    settings = DoorSettings(default_model="benthic-demo", deadline_s=5, faces=("vss",))
    shown = System(system, metrics_text, folder)
    async with serving(create_api(models, shown, settings, CountedAnswers(), Entrance(access=access))) as port:
        yield f"127.0.0.1:{port}/vss"
