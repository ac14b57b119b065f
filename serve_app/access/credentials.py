"""Where a request shows its key."""

import base64
import binascii
from urllib.parse import unquote_plus

from starlette.types import Scope

from serve_app.access.keys import MAX_KEY_CHARACTERS

PARAMETER = b"api_key"


def shown_key(scope: Scope) -> str | None:
    """The key of a request; None where it shows none. One that is too long, or that cannot be read, is ''.

    `X-API-Key` first: a proxy in front may have use for `Authorization` itself. Then `Authorization: Bearer KEY`, or
    `Basic` with the key as the password, as programs send it for http://name:KEY@host/. Last `?api_key=KEY`, for
    programs of which only the URL can be changed and that send no password from it; it is taken out of the query,
    so that nothing behind sees it or writes it down.
    """
    in_query = _taken_from_query(scope)
    authorization: bytes | None = None
    for name, value in scope["headers"]:
        if name == b"x-api-key":
            return _bounded(value.strip().decode("latin-1"))
        if name == b"authorization":
            authorization = value
    if authorization is not None:
        return _authorization(authorization)
    return in_query


def _authorization(value: bytes) -> str | None:
    scheme, _, given = value.decode("latin-1").strip().partition(" ")
    given = given.strip()
    match scheme.lower():
        case "bearer":
            return _bounded(given)
        case "basic" if len(given) <= 4 * MAX_KEY_CHARACTERS:
            try:
                text = base64.b64decode(given, validate=True).decode("latin-1")
            except (binascii.Error, ValueError):
                return ""
            return _bounded(text.partition(":")[2])
        case _:
            return ""


def _taken_from_query(scope: Scope) -> str | None:
    query: bytes = scope.get("query_string", b"")
    if PARAMETER not in query:
        return None
    kept, found = [], None
    for pair in query.split(b"&"):
        name, _, value = pair.partition(b"=")
        if name == PARAMETER:
            # Of two the last would be as good as the first: a program sends one.
            found = _bounded(unquote_plus(value.decode("latin-1")))
        else:
            kept.append(pair)
    scope["query_string"] = b"&".join(kept)
    return found


def _bounded(key: str) -> str:
    return key if len(key) <= MAX_KEY_CHARACTERS else ""
