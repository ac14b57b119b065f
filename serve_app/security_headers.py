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

_RAW = tuple((name.lower().encode("ascii"), value.encode("ascii")) for name, value in HEADERS.items())


def secured(head: Message, is_https: bool) -> Message:
    """The `http.response.start` in `head` with the headers that it lacks."""
    present = {name.lower() for name, _ in head["headers"]}
    lacking = [field for field in _RAW if field[0] not in present]
    if is_https:
        lacking.append(STRICT_TRANSPORT)
    return {**head, "headers": [*head["headers"], *lacking]} if lacking else head
