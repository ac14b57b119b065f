"""The HTTP/1.1 that the load generator speaks: whole requests as ready-made bytes, answers read with as little
work as possible. Knows no socket, no clock and no system.
"""

from collections.abc import Mapping
from dataclasses import dataclass

BOUNDARY = "fathom-bench-7f3a"


class BrokenAnswer(Exception):
    """The bytes are no answer that this reader understands."""


@dataclass(frozen=True, slots=True)
class Upload:
    """A file part of a form."""

    content: bytes
    file_name: str
    media_type: str


@dataclass(frozen=True, slots=True)
class Answer:
    """One whole answer. is_last: the server closes the connection after it."""

    status: int
    head: bytes
    body: bytes
    is_last: bool


def upload_request(host: str, path: str, upload: Upload, fields: Mapping[str, str]) -> bytes:
    """A multipart POST with the part `file` and plain fields, ready to be written to a socket."""
    parts = [
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in fields.items()
    ]
    parts.append(
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="{upload.file_name}"\r\n'
        f"Content-Type: {upload.media_type}\r\n\r\n".encode()
    )
    parts += [upload.content, f"\r\n--{BOUNDARY}--\r\n".encode()]
    body = b"".join(parts)
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {host}\r\nAccept: application/json\r\n"
        f"Content-Type: multipart/form-data; boundary={BOUNDARY}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def raw_request(host: str, path: str, upload: Upload) -> bytes:
    """A POST whose whole body is the image, ready to be written to a socket."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {host}\r\nAccept: application/json\r\n"
        f"Content-Type: {upload.media_type}\r\nContent-Length: {len(upload.content)}\r\n\r\n"
    )
    return head.encode() + upload.content


class AnswerReader:
    """Reads the answers of one connection, one after the other; requests are never pipelined."""

    __slots__ = ("_buffer",)

    def __init__(self) -> None:
        self._buffer = b""

    def feed(self, data: bytes) -> Answer | None:
        """The answer that `data` completes, if it does. Raises BrokenAnswer."""
        buffer = self._buffer + data if self._buffer else data
        answer = _parse(buffer)
        self._buffer = buffer if answer is None else b""
        return answer


def _parse(buffer: bytes) -> Answer | None:
    end = buffer.find(b"\r\n\r\n")
    if end < 0:
        return None
    if buffer[:7] != b"HTTP/1." or not buffer[9:12].isdigit():
        raise BrokenAnswer(f"no status line: {buffer[:60]!r}")
    status, head, start = int(buffer[9:12]), buffer[:end].lower(), end + 4
    is_last = b"\nconnection: close" in head
    length = _header(head, b"content-length")
    if length is not None:
        if len(buffer) < start + int(length):
            return None
        return Answer(status, head, buffer[start : start + int(length)], is_last)
    if status == 204:
        return Answer(status, head, b"", is_last)
    if b"chunked" not in (_header(head, b"transfer-encoding") or b""):
        raise BrokenAnswer("the answer has neither a length nor chunks")
    body = _chunks(buffer, start)
    return None if body is None else Answer(status, head, body, is_last)


def _header(head: bytes, name: bytes) -> bytes | None:
    found = head.find(b"\n" + name + b":")
    if found < 0:
        return None
    start = found + len(name) + 2
    end = head.find(b"\r\n", start)
    return head[start : end if end >= 0 else len(head)].strip()


def _chunks(buffer: bytes, position: int) -> bytes | None:
    body: list[bytes] = []
    while True:
        line_end = buffer.find(b"\r\n", position)
        if line_end < 0:
            return None
        try:
            size = int(buffer[position:line_end].split(b";")[0], 16)
        except ValueError:
            raise BrokenAnswer(f"no chunk size: {buffer[position:line_end][:20]!r}") from None
        position = line_end + 2
        if len(buffer) < position + size + 2:
            return None
        if size == 0:
            return b"".join(body)
        body.append(buffer[position : position + size])
        position += size + 2
