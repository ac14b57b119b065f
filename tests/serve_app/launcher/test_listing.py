"""What commands ask the HTTP door: whether it lists a model that was added, and what it has measured."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from serve_app.launcher.dashboard_client import metrics_text, wait_until_listed


class Door(BaseHTTPRequestHandler):
    """Knows `late` from the third time that it is asked on, and nothing else."""

    asked = 0

    def do_GET(self) -> None:
        if self.path == "/metrics":
            self.send_response(200)
            self.send_header("content-length", "5")
            self.end_headers()
            self.wfile.write(b"a 1\n\n")
            return
        if self.path == "/v1/models/late":
            Door.asked += 1
        self.send_response(200 if self.path == "/v1/models/late" and Door.asked >= 3 else 404)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing."""


@pytest.fixture
def port() -> Iterator[int]:
    Door.asked = 0
    with HTTPServer(("127.0.0.1", 0), Door) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


def test_it_waits_until_the_door_lists_the_model(port: int) -> None:
    details = {"http_options": {"host": "0.0.0.0", "port": port}}
    assert wait_until_listed(details, "late")
    assert Door.asked == 3


def test_it_does_not_wait_for_ever(port: int) -> None:
    details = {"http_options": {"host": "127.0.0.1", "port": port}}
    assert not wait_until_listed(details, "never", timeout_s=0.3)


def test_a_system_without_a_door_lists_nothing() -> None:
    assert not wait_until_listed({"http_options": {"host": "127.0.0.1", "port": 9}}, "m", timeout_s=0.1)


def test_the_metrics_are_those_of_the_door_or_nothing(port: int) -> None:
    assert metrics_text({"http_options": {"host": "127.0.0.1", "port": port}}) == "a 1\n\n"
    assert metrics_text({"http_options": {"host": "127.0.0.1", "port": 9}}) == ""
