"""One request, sent and waited for: to see whether a server is ready, and whether its answers are right."""

import socket

from benchmarks.load.free_ports import LOOPBACK
from benchmarks.load.http_wire import Answer, AnswerReader, BrokenAnswer

_READ_BYTES = 2**16


def get_request(path: str) -> bytes:
    """A GET, as bytes."""
    return f"GET {path} HTTP/1.1\r\nHost: {LOOPBACK}\r\n\r\n".encode()


def ask(port: int, request: bytes, timeout_s: float) -> Answer | None:
    """The answer; None when the server does not take the connection, or does not answer in time."""
    reader = AnswerReader()
    try:
        with socket.create_connection((LOOPBACK, port), timeout=timeout_s) as connection:
            connection.sendall(request)
            while data := connection.recv(_READ_BYTES):
                answer = reader.feed(data)
                if answer is not None:
                    return answer
    except (OSError, BrokenAnswer):
        return None
    return None
