"""A system that has started is told when its door itself answers."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import ClassVar

import pytest

from tests.serve_app.launcher.blocks import API, model_block
from tests.serve_app.launcher.driven import STOPS_IN_ORDER, driven
from tests.serve_app.launcher.fake_dashboard import FakeDashboard, serving


@pytest.fixture
def dashboard() -> Iterator[FakeDashboard]:
    with serving(FakeDashboard()) as running:
        running.run(model_block("first"), API)
        yield running


@pytest.fixture
def log(tmp_path: Path) -> Path:
    return tmp_path / "serve.log"


class DoorBehindProxy(BaseHTTPRequestHandler):
    """As HAProxy answers that does not know of the door yet, and then the door itself."""

    statuses: ClassVar[list[int]] = []

    def do_GET(self) -> None:
        self.send_response(self.statuses.pop() if len(self.statuses) > 1 else self.statuses[0])
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Nothing is written."""


@contextmanager
def door_behind_proxy(*statuses: int) -> Iterator[str]:
    """Its address. statuses: of its answers, one after the other, the last for ever."""
    DoorBehindProxy.statuses = list(reversed(statuses))
    with HTTPServer(("127.0.0.1", 0), DoorBehindProxy) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_system_is_up_when_its_door_itself_answers(dashboard: FakeDashboard, log: Path) -> None:
    with (
        door_behind_proxy(503, 503, 200) as door,
        driven(dashboard.url, log, STOPS_IN_ORDER, door=door) as foreground,
    ):
        assert foreground.said("up: ").strip() == "up: api, first"
        assert DoorBehindProxy.statuses == [200]


def test_a_door_that_has_failed_is_not_waited_for(dashboard: FakeDashboard, log: Path) -> None:
    dashboard.failing = {"api"}
    dashboard.run(model_block("first"), API)
    with (
        door_behind_proxy(503) as door,
        driven(dashboard.url, log, STOPS_IN_ORDER, door=door) as foreground,
    ):
        assert foreground.said("up: ").strip() == "up: first"
