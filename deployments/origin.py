"""Where a request came from, for the lines and spans that concern it: the id of an HTTP request or of a job."""

from collections.abc import Iterable
from typing import Any, NamedTuple

LONGEST_ID = 256
"""Characters of an id that are kept; clients choose theirs."""

MOST_IDS = 64
"""Ids that one line has, of a call or a batch of many requests."""


class Origin(NamedTuple):
    """request_id: as the client or the door named it, see `shown_id`.
    traceparent: of W3C Trace Context, the span that the request belongs to; None where it is not traced.
    """

    request_id: str
    traceparent: str | None = None


NOWHERE = Origin("")
"""Of a request that says nothing."""


def shown_id(text: str) -> str:
    """`text` as an id that fits into one line of a log: what cannot be printed is `?`, and it ends somewhere."""
    if len(text) <= LONGEST_ID and text.isprintable():
        return text
    return "".join(one if one.isprintable() else "?" for one in text[:LONGEST_ID])


def about(origins: Iterable[Origin | None]) -> dict[str, Any]:
    """The `extra` of a log call that concerns these requests: all lines about one are found by its id."""
    ids = list(dict.fromkeys(origin.request_id for origin in origins if origin is not None and origin.request_id))
    if not ids:
        return {}
    more = [f"and {len(ids) - MOST_IDS} more"] if len(ids) > MOST_IDS else []
    return {"request_id": ",".join(ids[:MOST_IDS] + more)}
