"""What HAProxy itself answers, as problem documents: the one table from its conditions to answers.

They are HTML as HAProxy comes. All have the members for old clients, since HAProxy does not know who asks. Two are
beyond reach: what HAProxy 2.8 cannot read as HTTP (400), and a head that does not end in time (408), it answers
before any configuration is asked (its issue 3032, mended in later series).
"""

from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

from starlette.responses import Response

from serve_app.launcher.proxy.haproxy_config import ERRORS, HEAD_TOO_LARGE
from serve_app.problems import LEGACY_MEMBERS, status_problem

_NO_DOOR = "the HTTP door is starting, or is being replaced; try again"


@dataclass(frozen=True, slots=True)
class Answer:
    """status: what the client is told.  retry_after_s: 0 where asking again is no use."""

    status: int
    detail: str
    retry_after_s: int = 0


ANSWERS = {
    400: Answer(400, "the request is not valid HTTP, or its head (request line and headers) exceeds 31 kB"),
    403: Answer(403, "the request is forbidden"),
    404: Answer(404, "no application answers on this path"),
    408: Answer(408, "the request did not arrive in time"),
    413: Answer(413, "the request is too large"),
    429: Answer(429, "too many connections are open from this address; close some", retry_after_s=1),
    431: Answer(431, "the head of the request (request line and headers) exceeds 16 kB"),
    500: Answer(500, "the server failed on this request"),
    # The door's replica ended under the request: to ask again is right.
    502: Answer(503, _NO_DOOR, retry_after_s=2),
    503: Answer(503, _NO_DOOR, retry_after_s=2),
    504: Answer(504, "the HTTP door did not answer in time"),
}
"""By HAProxy's own status."""


def write_answers(folder: Path) -> None:
    """The files that the edited configuration names."""
    for status in ERRORS:
        (folder / f"{status}.http").write_bytes(_with_head(ANSWERS[status]))
    (folder / HEAD_TOO_LARGE).write_bytes(_document(ANSWERS[431]))


def response_of(answer: Answer) -> Response:
    """The same, where HAProxy does not stand in front."""
    response = status_problem(answer.status, answer.detail, LEGACY_MEMBERS)
    if answer.retry_after_s:
        response.headers["Retry-After"] = str(answer.retry_after_s)
    return response


def _document(answer: Answer) -> bytes:
    return bytes(response_of(answer).body)


def _with_head(answer: Answer) -> bytes:
    response = response_of(answer)
    status = f"HTTP/1.1 {answer.status} {HTTPStatus(answer.status).phrase}".encode("ascii")
    fields = [b"%b: %b" % field for field in response.raw_headers]
    return b"\r\n".join([status, *fields, b"Cache-Control: no-store", b"", b""]) + bytes(response.body)
