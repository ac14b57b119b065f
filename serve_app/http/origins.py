"""The id of an HTTP request, and the span that it belongs to."""

from starlette.requests import Request
from starlette.types import Scope

from deployments.origin import NOWHERE, Origin, shown_id

TRACEPARENT = "fathom.traceparent"
"""Key of the ASGI scope, where a request is traced."""

_ID_HEADER = b"x-request-id"


def origin_of(request: Request) -> Origin:
    """NOWHERE without an id, as in a server that is not Serve's."""
    text = id_of(request.scope)
    return Origin(text, request.scope.get(TRACEPARENT)) if text else NOWHERE


def id_of(scope: Scope) -> str:
    """What the client sent as `X-Request-ID`, or Serve made; clients find it in the answer, too. '' for none."""
    for name, value in scope["headers"]:
        if name == _ID_HEADER:
            return shown_id(value.decode("latin-1"))
    return ""
