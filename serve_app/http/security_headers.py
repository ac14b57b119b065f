"""Headers that every answer of the door has, by which browsers keep to what was meant."""

from starlette.types import Message

HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "frame-ancestors 'none'",
}
"""Where an answer has one of them itself, as the page has a stricter policy, its own counts."""

STRICT_TRANSPORT = (b"strict-transport-security", b"max-age=86400")
"""Only behind TLS, and for a day: a browser would use https for all other ports of this host, too."""

_RAW = [(name.lower().encode("ascii"), value.encode("ascii")) for name, value in HEADERS.items()]
_NAMES = frozenset(name for name, _ in _RAW)


def secure(head: Message, is_https: bool) -> None:
    """Gives the `http.response.start` in `head` those of the headers that it lacks."""
    headers = head["headers"]
    lacking = _RAW
    for name, _ in headers:
        if name in _NAMES:  # rare: the page's own files
            lacking = [field for field in lacking if field[0] != name]
    head["headers"] = [*headers, *lacking, STRICT_TRANSPORT] if is_https else [*headers, *lacking]
