"""Reads a multipart form into memory within limits.

The usual form parsers write larger files to disk and have no limit for the whole body. Here the bytes are
counted as they come, the total of all uploads under way is bounded, and nothing touches the disk.
"""

import asyncio
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING, Self

from python_multipart import MultipartParser
from python_multipart.exceptions import FormParserError
from python_multipart.multipart import parse_options_header
from starlette.exceptions import HTTPException
from starlette.requests import Request

from deployments.byte_budget import HeldBytes
from deployments.errors import ImageTooLarge, InvalidRequest
from deployments.nearest_name import nearest_of
from serve_app.forms import FILE, MAX_PARTS, Accepted, Form
from serve_app.settings import DoorSettings

if TYPE_CHECKING:
    from python_multipart.multipart import MultipartCallbacks

_UNREAD_TRANSFER_ENCODINGS = (b"base64", b"quoted-printable")


@dataclass(frozen=True, slots=True)
class UploadLimits:
    """What one upload may have."""

    max_bytes: int

    stall_s: float
    """The longest pause, and the time that the first byte may take."""

    min_bytes_per_s: int
    """On average, stall_s not counted."""

    @classmethod
    def of(cls, settings: DoorSettings) -> Self:
        """Those of the door."""
        return cls(settings.max_upload_bytes, settings.upload_stall_s, settings.min_upload_bytes_per_s)


async def read_body(request: Request, limits: UploadLimits, held: HeldBytes) -> bytes:
    """The whole body. Raises ImageTooLarge over the limit, before reading when the length is announced, and
    HTTPException for a body that is encoded (415) or too slow (408)."""
    _refuse_encoded(request)
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > limits.max_bytes:
        raise ImageTooLarge(f"the upload has {announced} bytes, the limit is {limits.max_bytes}")
    chunks = []
    clock = asyncio.get_running_loop().time
    must_have_begun_at_s = clock() + limits.stall_s
    try:
        async with asyncio.timeout_at(must_have_begun_at_s) as timer:
            async for chunk in request.stream():
                held.grow(len(chunk))
                if held.size_bytes > limits.max_bytes:
                    raise ImageTooLarge(f"the upload has more than {limits.max_bytes} bytes, which is the limit")
                chunks.append(chunk)
                too_slow_at_s = must_have_begun_at_s + held.size_bytes / limits.min_bytes_per_s
                ends_at_s = min(clock() + limits.stall_s, too_slow_at_s)
                # To reset a timer costs as much as to take a chunk: a twentieth of the time does not matter.
                if ends_at_s > (timer.when() or 0.0) + limits.stall_s / 20:
                    timer.reschedule(ends_at_s)
    except TimeoutError:
        raise HTTPException(
            HTTPStatus.REQUEST_TIMEOUT,
            f"the upload was ended after {held.size_bytes} bytes: it must not pause for {limits.stall_s:g} s, "
            f"nor be slower than {limits.min_bytes_per_s} bytes/s",
            {"Connection": "close"},
        ) from None
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


def _refuse_encoded(request: Request) -> None:
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("", "identity"):
        detail = f"content-encoding {encoding[:50]!r} is not read: send the body as it is, without compression"
        raise HTTPException(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, detail, {"Accept-Encoding": "identity"})


def parse_form(content_type: str, body: bytes, accepted: Accepted) -> Form:
    """The parts of a multipart/form-data body. Raises InvalidRequest for anything else."""
    media_type, parameters = parse_options_header(content_type)
    boundary = parameters.get(b"boundary")
    if media_type != b"multipart/form-data" or not boundary:
        raise InvalidRequest(
            f"content-type must be multipart/form-data with a boundary and a part 'file', got {content_type[:100]!r}"
        )
    parts = _Parts(accepted)
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

    def __init__(self, accepted: Accepted) -> None:
        self.form = Form()
        self._accepted = accepted
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
        self._check_transfer_encoding(name)
        if name == FILE:
            if FILE in self.form.files:
                raise InvalidRequest(f"the form has two parts named {FILE!r}; send one image with each request")
            self.form.files[FILE] = content
        else:
            self._add_field(name, content, is_file=b"filename" in options)

    def _check_transfer_encoding(self, name: str) -> None:
        encoding = self._headers.get(b"content-transfer-encoding", b"").strip().lower()
        if encoding in _UNREAD_TRANSFER_ENCODINGS:
            raise InvalidRequest(
                f"the part {name[:100]!r} is sent as {encoding.decode()}; send its bytes as they are"
            )

    def _add_field(self, name: str, content: bytes | memoryview, is_file: bool) -> None:
        known = self._accepted.fields
        if not name:
            raise InvalidRequest(f"a part of the form has no name; the image goes into the part {FILE!r}")
        if name not in known:
            hint = f"the image goes into the part {FILE!r}" if is_file else nearest_of(name, known | {FILE})
            raise InvalidRequest(f"unknown field {name[:100]!r}; {hint}")
        if len(content) > self._accepted.max_field_bytes:
            raise InvalidRequest(
                f"the field {name!r} has {len(content)} bytes, the limit is {self._accepted.max_field_bytes}"
            )
        try:
            self.form.add_field(name, bytes(content).decode("utf-8"))
        except UnicodeDecodeError:
            raise InvalidRequest(f"the field {name!r} is not UTF-8, got {bytes(content[:50])!r}") from None

    def end(self) -> None:
        self.is_ended = True
