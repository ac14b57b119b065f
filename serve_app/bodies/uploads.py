"""Reads a multipart form into memory within limits.

The usual form parsers write larger files to disk and have no limit for the whole body. Here the bytes are
counted as they come, the total of all uploads under way is bounded, and nothing touches the disk.
"""

import asyncio
import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import NamedTuple, Self

from multipart import MultipartError, MultipartSegment, PushMultipartParser, parse_options_header
from starlette.exceptions import HTTPException
from starlette.requests import Request

from deployments.byte_budget import HeldBytes
from deployments.errors import ImageTooLarge, InvalidRequest
from deployments.text.nearest_name import nearest_of
from serve_app.bodies.forms import FILE, MAX_PARTS, Accepted, Form
from serve_app.settings import DoorSettings

_LENGTH = re.compile(r"[0-9]{1,19}")
_UNREAD_TRANSFER_ENCODINGS = ("base64", "quoted-printable")


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


async def read_body(
    request: Request, limits: UploadLimits, held: HeldBytes, encodings: Collection[str] = ()
) -> bytes:
    """The whole body, as it came. Raises ImageTooLarge over the limit, before reading when the length is announced,
    and HTTPException for a body that is too slow (408), or in a content encoding other than `encodings` (415)."""
    encoding_of(request, encodings)
    announced = length_in(request.headers.get("content-length", ""))
    if announced is not None and announced > limits.max_bytes:
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


def length_in(header: str) -> int | None:
    """The bytes that a header says; None where it has no such number. Python itself raises an error for thousands of
    digits."""
    return int(header) if _LENGTH.fullmatch(header) else None


def encoding_of(request: Request, known: Collection[str] = ()) -> str:
    """The content encoding of the body, one of the `known`; '' for none. Raises HTTPException (415)."""
    encoding = request.headers.get("content-encoding", "identity").strip().lower()
    if encoding in ("", "identity"):
        return ""
    if encoding not in known:
        instead = f"read: {', '.join(known)}" if known else "send the body as it is, without compression"
        detail = f"content-encoding {encoding[:50]!r} is not read; {instead}"
        raise HTTPException(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE, detail, {"Accept-Encoding": ", ".join(known) or "identity"}
        )
    return encoding


class Part(NamedTuple):
    """One part of a form."""

    name: str
    file_name: str | None
    """As sent; None for what was sent as text."""
    content: bytes


def parse_form(content_type: str, body: bytes, accepted: Accepted) -> Form:
    """The parts of a multipart/form-data body with one image. Raises InvalidRequest for anything else."""
    form = Form()
    for part in form_parts(content_type, body, FILE):
        _add_part(form, part, accepted)
    return form


def form_parts(content_type: str, body: bytes, image_part: str, max_parts: int = MAX_PARTS) -> Iterator[Part]:
    """The parts of a multipart/form-data body, in their order. Raises InvalidRequest for anything else, perhaps after
    some parts. image_part: its name, for messages."""
    media_type, parameters = parse_options_header(content_type)
    boundary = parameters.get("boundary")
    if media_type != "multipart/form-data" or not boundary:
        raise InvalidRequest(
            f"content-type must be multipart/form-data with a boundary and a part {image_part!r}, "
            f"got {content_type[:100]!r}"
        )
    # Latin-1 reads any bytes: names may be in any encoding.
    parser = PushMultipartParser(boundary, max_segment_count=max_parts, header_charset="latin-1")
    try:
        for segment, content in _segments(parser.parse(body)):
            yield _part(segment, content)
    except MultipartError as error:
        raise InvalidRequest(f"the form is malformed, or has more than {max_parts} parts: {error}") from None
    try:
        parser.close()
    except MultipartError:
        raise InvalidRequest("the form is cut off before its end") from None


def _segments(events: Iterable[MultipartSegment | bytes | None]) -> Iterator[tuple[MultipartSegment, bytes]]:
    """Each part that is there to its end, with its content."""
    segment: MultipartSegment | None = None
    content = b""
    for event in events:
        if isinstance(event, bytes):
            content = content + event if content else event
        elif event is not None:
            segment, content = event, b""
        elif segment is not None:
            yield segment, content


def _part(segment: MultipartSegment, content: bytes) -> Part:
    name = _utf8(segment.name or "")
    encoding = segment.header("Content-Transfer-Encoding", "").strip().lower()
    if encoding in _UNREAD_TRANSFER_ENCODINGS:
        raise InvalidRequest(f"the part {name[:100]!r} is sent as {encoding}; send its bytes as they are")
    return Part(name, None if segment.filename is None else _utf8(segment.filename), content)


def _utf8(latin_1: str) -> str:
    return latin_1 if latin_1.isascii() else latin_1.encode("latin-1").decode("utf-8", "replace")


def field_text(part: Part, max_bytes: int) -> str:
    """The value of a field. Raises InvalidRequest for a longer one, and for what is not UTF-8."""
    if len(part.content) > max_bytes:
        raise InvalidRequest(f"the field {part.name!r} has {len(part.content)} bytes, the limit is {max_bytes}")
    try:
        return part.content.decode("utf-8")
    except UnicodeDecodeError:
        raise InvalidRequest(f"the field {part.name!r} is not UTF-8, got {part.content[:50]!r}") from None


def _add_part(form: Form, part: Part, accepted: Accepted) -> None:
    name = part.name
    if name != FILE:
        if not name:
            raise InvalidRequest(f"a part of the form has no name; the image goes into the part {FILE!r}")
        if name not in accepted.fields:
            is_file = part.file_name is not None
            hint = f"the image goes into the part {FILE!r}" if is_file else nearest_of(name, accepted.fields | {FILE})
            raise InvalidRequest(f"unknown field {name[:100]!r}; {hint}")
        form.add_field(name, field_text(part, accepted.max_field_bytes))
    elif FILE in form.files:
        raise InvalidRequest(f"the form has two parts named {FILE!r}; send one image with each request")
    else:
        form.files[FILE] = part.content
