"""What HAProxy itself answers, as problem documents: the one table from its conditions to answers.

HAProxy's own answers are HTML. All of these have the members that clients of any face look for, as HAProxy does not
know which one asks. Two cannot be replaced: HAProxy 2.8 answers what it cannot read as HTTP (400), and a head that
does not end in time (408), before it consults any configuration (its issue 3032, fixed in later series).
"""

from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

from starlette.responses import Response

from serve_app.http.problems import LEGACY_MEMBERS, SENTENCE, status_problem
from serve_app.http.security_headers import HEADERS
from serve_app.launcher.proxy.haproxy_config import ERRORS, HEAD_TOO_LARGE
from serve_app.launcher.proxy.https import ELSEWHERE

_BESIDE = {**LEGACY_MEMBERS, "error": SENTENCE}
"""For old clients, and for those of `/v2`."""

_NO_DOOR = "the HTTP door is starting, or is being replaced; try again"


@dataclass(frozen=True, slots=True)
class ProxyAnswer:
    """An answer of HAProxy's own."""

    status: int
    """The status that the client gets."""

    detail: str

    retry_after_s: int = 0
    """0 where a retry is useless."""


ANSWERS = {
    308: ProxyAnswer(308, "from other machines this server is asked over HTTPS, at the address in Location"),
    400: ProxyAnswer(400, "the request is not valid HTTP, or its head (request line and headers) exceeds 31 kB"),
    403: ProxyAnswer(403, "the request is forbidden"),
    404: ProxyAnswer(404, "no application answers on this path"),
    408: ProxyAnswer(408, "the request did not arrive in time"),
    413: ProxyAnswer(413, "the request is too large"),
    429: ProxyAnswer(429, "too many connections or requests are open from this address; close some", retry_after_s=1),
    431: ProxyAnswer(431, "the head of the request (request line and headers) exceeds 16 kB"),
    500: ProxyAnswer(500, "the server failed on this request"),
    # The replica of the door ended during the request: a retry is right.
    502: ProxyAnswer(503, _NO_DOOR, retry_after_s=2),
    503: ProxyAnswer(503, _NO_DOOR, retry_after_s=2),
    504: ProxyAnswer(504, "the HTTP door did not answer in time"),
}
"""By HAProxy's own status."""


def write_answers(folder: Path) -> None:
    """The files that the edited configuration names."""
    for status in ERRORS:
        (folder / f"{status}.http").write_bytes(_with_head(ANSWERS[status]))
    (folder / HEAD_TOO_LARGE).write_bytes(_document(ANSWERS[431]))
    (folder / ELSEWHERE).write_bytes(_document(ANSWERS[308]))


def response_of(answer: ProxyAnswer) -> Response:
    """The same, where HAProxy does not stand in front."""
    response = status_problem(answer.status, answer.detail, _BESIDE)
    response.headers.update(HEADERS)
    if answer.retry_after_s:
        response.headers["Retry-After"] = str(answer.retry_after_s)
    return response


def _document(answer: ProxyAnswer) -> bytes:
    return bytes(response_of(answer).body)


def _with_head(answer: ProxyAnswer) -> bytes:
    response = response_of(answer)
    status = f"HTTP/1.1 {answer.status} {HTTPStatus(answer.status).phrase}".encode("ascii")
    fields = [b"%b: %b" % field for field in response.raw_headers]
    return b"\r\n".join([status, *fields, b"Cache-Control: no-store", b"", b""]) + bytes(response.body)
