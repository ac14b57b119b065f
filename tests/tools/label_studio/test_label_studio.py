"""Label Studio's own classes read what we answer to its requests, and uploaded files come with its token."""

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from serve_app.api import create_api
from serve_app.faces.face import ModelAccess
from serve_app.faces.system.routes import System
from serve_app.settings import DoorSettings
from tests.serve_app.conftest import CountedAnswers, FakeSystem
from tests.serve_app.faces.v1.predicting import prediction, two_animals
from tests.serve_app.uploads import picture
from tests.support.image_host import ImageHost, image_host, reply
from tests.support.raw_http import serving
from tests.tools.environments import run_in

pytestmark = [pytest.mark.tools, pytest.mark.timeout(900)]

SCRIPT = Path(__file__).parent / "ask_as_label_studio.py"


@pytest.fixture
def servers(system: FakeSystem, tmp_path: Path) -> Iterator[tuple[str, ImageHost]]:
    """The address of a door that may fetch from a server of images, and that server."""
    started: list[tuple[str, ImageHost]] = []
    is_up, is_over = threading.Event(), asyncio.Event()

    async def metrics_text() -> str:
        return ""

    async def serve() -> None:
        async with image_host() as host:
            host.answers |= dict.fromkeys(("/data/upload/7/frame.png", "/frame.png"), reply(picture()))
            settings = DoorSettings(faces=("label_studio",), fetch_hosts=(f"127.0.0.1:{host.port} private",))
            models = ModelAccess(system, system.predict, system.ask_external)
            api = create_api(models, System(system, metrics_text, tmp_path), settings, CountedAnswers())
            async with serving(api) as port:
                started.append((f"http://127.0.0.1:{port}", host))
                is_up.set()
                await is_over.wait()

    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    try:
        assert is_up.wait(30)
        yield started[0]
    finally:
        loop.call_soon_threadsafe(is_over.set)
        thread.join()
        loop.close()


def test_label_studios_classes_read_our_answers(
    servers: tuple[str, ImageHost], system: FakeSystem, tmp_path: Path
) -> None:
    door, host = servers
    system.fails_with = prediction(two_animals())
    backend = f"{door}/label-studio/benthic-demo"
    found: dict[str, Any] = run_in("label_studio", SCRIPT, backend, host.url, str(tmp_path / "models"))
    for path, both in found["shapes"].items():
        if both["theirs"] is not None:
            assert both["ours"][0] == both["theirs"][0], path
    assert found["shapes"]["setup"]["ours"] == found["shapes"]["setup"]["theirs"] == [200, ["model_version"]]
    assert found["shapes"]["predict"]["ours"] == found["shapes"]["predict"]["theirs"]
    assert found["shapes"]["webhook"]["ours"] == [201, ["result", "status"]]
    assert found["errors"] == [[], []]
    assert found["read_back"] == [0.625, 0.625]
    assert found["alike"][0] == found["alike"][1]
    assert found["tags"] == ["BrushLabels", "KeyPointLabels", "PolygonLabels", "RectangleLabels"]
    # The crab is 40 by 20 pixels of the image; the fish has no pixel.
    assert found["strokes"] == [800, 0]
    assert host.headers_of("/data/upload/7/frame.png")["authorization"] == "Token abcdef0123456789"
    assert "authorization" in host.headers_of("/frame.png")
