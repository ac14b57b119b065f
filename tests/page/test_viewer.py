"""The viewer of the OpenAPI document shows every route in a real browser, and loads nothing from elsewhere."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvicorn
from playwright.sync_api import Page, expect

from serve_app.api import create_api
from serve_app.faces.face import ModelAccess
from serve_app.faces.system.routes import System
from serve_app.settings import DoorSettings
from tests.serve_app.conftest import CountedAnswers, FakeSystem, record
from tests.support.waiting import wait_for


@pytest.fixture(scope="module")
def door() -> Iterator[str]:
    """The address of the HTTP door."""
    system = FakeSystem([record("benthic-demo")])

    async def metrics_text() -> str:
        return ""

    models = ModelAccess(system, system.predict, system.ask_external)
    api = create_api(models, System(system, metrics_text, Path("no samples")), DoorSettings(), CountedAnswers())
    server = uvicorn.Server(uvicorn.Config(api, "127.0.0.1", 0, lifespan="off", log_config=None, access_log=False))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        wait_for(lambda: server.started, what="the start of the door", poll_interval_s=0.02)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()


@pytest.mark.parametrize("prefix", ["", "/model/v1"])
def test_the_viewer_shows_every_route_and_loads_nothing_from_elsewhere(page: Page, door: str, prefix: str) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(f"{door}{prefix}/docs")
    predict = page.locator("#operations-predict-predict_v1_models__model__predict_post")
    expect(predict).to_contain_text("/v1/models/{model}/predict")
    predict.click()
    expect(page.get_by_text("multipart/form-data").first).to_be_attached()
    expect(page.locator("#operations-tag-legacy")).to_be_visible()
    assert [url for url in asked if not url.startswith((f"{door}{prefix}/", "data:"))] == []


def test_a_request_is_made_from_the_viewer(page: Page, door: str) -> None:
    page.goto(f"{door}/model/v1/docs")
    live = page.locator("#operations-system-live_livez_get")
    live.click()
    live.get_by_role("button", name="Try it out").click()
    with page.expect_request("**/livez") as sent:
        live.get_by_role("button", name="Execute").click()
    assert sent.value.url == f"{door}/model/v1/livez"
    expect(live.locator(".live-responses-table")).to_contain_text('"status": "live"')
