"""A real server in place of the HTTP door: it notes what it was asked and answers as told."""

import json
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

DETECTION = {"category_id": "Sea star", "scores": [0.9], "bbox": [1, 2, 30, 40]}


@dataclass
class Door:
    """What the server answers, and the bodies that it was sent."""

    url: str = ""
    status: int = 200
    answer: dict[str, Any] = field(default_factory=lambda: {"success": True, "predictions": [DETECTION]})
    answers: dict[str, Any] = field(default_factory=dict)
    """Of models that answer otherwise."""
    bodies: list[bytes] = field(default_factory=list)
    paths: set[str] = field(default_factory=set)


@pytest.fixture
def door() -> Iterator[Door]:
    door = Door()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            asked = self.rfile.read(int(self.headers["Content-Length"]))
            door.bodies.append(asked)
            door.paths.add(self.path)
            named = (answer for model, answer in door.answers.items() if f"\r\n{model}\r\n".encode() in asked)
            body = json.dumps(next(named, door.answer)).encode()
            self.send_response(door.status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Says nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        door.url = f"http://127.0.0.1:{server.server_port}"
        yield door
        server.shutdown()
        thread.join()
