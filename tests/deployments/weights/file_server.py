"""A small web server for files: ranges, redirects and failures as real ones have them, each told by a test."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

CHUNK_BYTES = 64 * 1024


@dataclass
class FileServer:
    """What it answers. files: path -> content.  cut_after_bytes: for each answer in turn, how much of its body is
    sent before the connection is closed.  headers: path -> more headers.  asked: (path, Range header) in turn.
    gate: what every answer with a body waits for.  busy_answers: this many are 503 first."""

    host: str = "127.0.0.1"
    port: int = 0
    files: dict[str, bytes] = field(default_factory=dict)
    redirects: dict[str, str] = field(default_factory=dict)
    headers: dict[str, dict[str, str]] = field(default_factory=dict)
    cut_after_bytes: list[int] = field(default_factory=list)
    asked: list[tuple[str, str]] = field(default_factory=list)
    knows_ranges: bool = True
    busy_answers: int = 0
    gate: threading.Event = field(default_factory=threading.Event)

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"


@contextmanager
def file_server(host: str = "127.0.0.1") -> Iterator[FileServer]:
    state = FileServer(host)
    state.gate.set()
    server = ThreadingHTTPServer((host, 0), type("_Bound", (_Handler,), {"state": state}))
    server.daemon_threads = True
    state.port = server.server_address[1]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield state
    finally:
        state.gate.set()
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    state: FileServer

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        self.state.asked.append((path, self.headers.get("Range", "")))
        if self.state.busy_answers:
            self.state.busy_answers -= 1
            self._answer(503, {}, b"busy")
        elif path in self.state.redirects:
            self._answer(302, {"Location": self.state.redirects[path], **self.state.headers.get(path, {})}, b"")
        elif path in self.state.files:
            self._send_file(path, self.state.files[path])
        else:
            self._answer(404, {}, b"no such file")

    def _send_file(self, path: str, content: bytes) -> None:
        more = {"ETag": f'"{hash(content):x}"', **self.state.headers.get(path, {})}
        wanted = self.headers.get("Range", "")
        is_same = self.headers.get("If-Range") == more["ETag"]
        if not wanted or not is_same or not self.state.knows_ranges:
            self._answer(200, more, content)
            return
        start = int(wanted.removeprefix("bytes=").partition("-")[0])
        if start >= len(content):
            self._answer(416, {"Content-Range": f"bytes */{len(content)}"}, b"")
            return
        about = {"Content-Range": f"bytes {start}-{len(content) - 1}/{len(content)}"}
        self._answer(206, more | about, content[start:])

    def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if status in (200, 206):
            self.state.gate.wait()
            whole = len(body)
            body = body[: self.state.cut_after_bytes.pop(0)] if self.state.cut_after_bytes else body
            self.wfile.write(body)
            self.close_connection = self.close_connection or len(body) < whole

    def log_message(self, format: str, *arguments: Any) -> None:
        """Says nothing."""
