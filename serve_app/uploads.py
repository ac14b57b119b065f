"""Reads a multipart form into memory within limits. Knows no model and no meaning of a field.

The usual form parsers write larger files to disk and have no limit for the whole body. Here the bytes are
counted as they come, the total of all uploads under way is bounded, and nothing touches the disk.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from python_multipart import MultipartParser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header
from starlette.requests import Request

from deployments.errors import ImageTooLarge, InvalidRequest, Overloaded

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

MAX_PARTS = 32
MAX_FIELD_BYTES = 4096


@dataclass(slots=True)
class Form:
    """files: part name -> content of uploads.  fields: part name -> text of plain fields."""

    files: dict[str, bytes | memoryview] = field(default_factory=dict)
    fields: dict[str, str] = field(default_factory=dict)


class UploadBudget:
    """Bytes that all uploads may hold at once."""

    def __init__(self, max_held_bytes: int) -> None:
        self._max_held_bytes = max_held_bytes
        self.held_bytes = 0

    @contextmanager
    def hold(self) -> Iterator["Held"]:
        """A share that grows as bytes arrive and is given back at the end."""
        held = Held(self)
        try:
            yield held
        finally:
            self.held_bytes -= held.size_bytes

    def take(self, size_bytes: int) -> None:
        """Raises Overloaded when the budget is spent."""
        if self.held_bytes + size_bytes > self._max_held_bytes:
            raise Overloaded(f"uploads under way hold {self.held_bytes} bytes already; try again")
        self.held_bytes += size_bytes


class Held:
    """One upload's share of the budget."""

    def __init__(self, budget: UploadBudget) -> None:
        self._budget = budget
        self.size_bytes = 0

    def grow(self, size_bytes: int) -> None:
        """Adds bytes; raises Overloaded when the budget is spent."""
        self._budget.take(size_bytes)
        self.size_bytes += size_bytes


async def read_body(request: Request, max_upload_bytes: int, held: Held) -> bytes:
    """The whole body. Raises ImageTooLarge over the limit, before reading when the length is announced."""
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > max_upload_bytes:
        raise ImageTooLarge(f"the upload has {announced} bytes, the limit is {max_upload_bytes}")
    chunks = []
    async for chunk in request.stream():
        held.grow(len(chunk))
        if held.size_bytes > max_upload_bytes:
            raise ImageTooLarge(f"the upload has more than {max_upload_bytes} bytes, which is the limit")
        chunks.append(chunk)
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def parse_form(content_type: str, body: bytes, max_field_bytes: int = MAX_FIELD_BYTES) -> Form:
    """The parts of a multipart/form-data body. Raises InvalidRequest for anything else."""
    media_type, parameters = parse_options_header(content_type)
    boundary = parameters.get(b"boundary")
    if media_type != b"multipart/form-data" or not boundary:
        raise InvalidRequest(
            f"content-type must be multipart/form-data with a boundary and a part 'file', got {content_type[:100]!r}"
        )
    parts = _Parts(max_field_bytes)
    try:
        parser = MultipartParser(boundary, parts.callbacks())
        parser.write(body)
        parser.finalize()
    except FormParserError as error:
        raise InvalidRequest(f"the form is malformed: {error}") from None
    if not parts.is_ended:
        raise InvalidRequest("the form is cut off before its end")
    return parts.form


class _Parts:
    """Collects the parser's callbacks; content is kept as views of the body, copied only when in pieces."""

    def __init__(self, max_field_bytes: int) -> None:
        self.form = Form()
        self._max_field_bytes = max_field_bytes
        self.is_ended = False
        self._count = 0
        self._header = (b"", b"")
        self._headers: dict[bytes, bytes] = {}
        self._pieces: list[memoryview] = []

    def callbacks(self) -> "MultipartCallbacks":
        return {
            "on_part_begin": self.part_begin,
            "on_part_data": self.part_data,
            "on_part_end": self.part_end,
            "on_header_field": self.header_field,
            "on_header_value": self.header_value,
            "on_header_end": self.header_end,
            "on_end": self.end,
        }

    def part_begin(self) -> None:
        self._count += 1
        if self._count > MAX_PARTS:
            raise InvalidRequest(f"the form has more than {MAX_PARTS} parts")
        self._headers, self._pieces = {}, []

    def header_field(self, data: bytes, start: int, end: int) -> None:
        self._header = (self._header[0] + data[start:end], self._header[1])

    def header_value(self, data: bytes, start: int, end: int) -> None:
        self._header = (self._header[0], self._header[1] + data[start:end])

    def header_end(self) -> None:
        name, value = self._header
        self._headers[name.lower()] = value
        self._header = (b"", b"")

    def part_data(self, data: bytes, start: int, end: int) -> None:
        self._pieces.append(memoryview(data)[start:end])

    def part_end(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        name = options.get(b"name", b"").decode("utf-8", "replace")
        content = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        if b"filename" in options:
            self.form.files.setdefault(name, content)
            return
        if len(content) > self._max_field_bytes:
            raise InvalidRequest(
                f"the field {name[:100]!r} has {len(content)} bytes, the limit is {self._max_field_bytes}"
            )
        self.form.fields.setdefault(name, bytes(content).decode("utf-8", "replace"))

    def end(self) -> None:
        self.is_ended = True
