"""Stands below all faces and lets a request pass whose key may do what it asks for."""

import logging
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from hmac import compare_digest
from http import HTTPStatus
from pathlib import Path
from typing import Any, Self

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from deployments.logs import OWN_LOGGER
from serve_app.access.allowances import Allowances, Refused
from serve_app.access.credentials import shown_key
from serve_app.access.key_ring import KeyRing
from serve_app.access.keys import Key, Keys, digest_of
from serve_app.access.routes import Route, RouteTable
from serve_app.problems import status_problem

logger = logging.getLogger(OWN_LOGGER)

KEYS_FILE = "FATHOM_API_KEYS_FILE"

KEY_NAME = "fathom.key"
"""Member of the ASGI scope: the name of the key that a request showed, where it is a good one."""

_REALM = 'Bearer realm="fathomnet-serve"'
_TOLD_PERIOD_S = 60.0

MembersOf = Callable[[str], Mapping[str, Any]]


class Access:
    """Who may call this door. doors: how many doors there are, or are to be, this one included."""

    def __init__(
        self, ring: KeyRing, doors: Callable[[], int] = lambda: 1, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.ring = ring
        self._doors = doors
        self._clock = clock
        self._allowances = Allowances()
        self._wrong = 0
        self._told_at_s = -_TOLD_PERIOD_S

    @classmethod
    def from_environment(cls, environ: Mapping[str, str], doors: Callable[[], int]) -> Self | None:
        """None where the environment names no file of keys: then everybody may call."""
        path = environ.get(KEYS_FILE)
        return cls(KeyRing(Path(path)), doors) if path else None

    async def key_of(self, shown: str) -> Key | None:
        """The key that was shown, if it counts now."""
        keys = await self.ring.keys()
        self._allowances.keep(keys.names)
        key = _found(keys, shown)
        return None if key is None or key.has_expired(datetime.now(UTC)) else key

    def begin(self, key: Key) -> Refused | None:
        """Counts a request of `key` that begins, or says why it may not."""
        return self._allowances.of(key).take(key, max(1, self._doors()), self._clock())

    def end(self, key: Key) -> None:
        """A counted request of `key` has ended."""
        self._allowances.of(key).end()

    def note_wrong(self, client: str) -> None:
        """A request showed a key that does not count. One line a minute: strangers must not fill the log."""
        self._wrong += 1
        if self._clock() - self._told_at_s >= _TOLD_PERIOD_S:
            logger.warning("%d requests showed a key that does not count, the last from %s", self._wrong, client)
            self._wrong, self._told_at_s = 0, self._clock()


def _found(keys: Keys, shown: str) -> Key | None:
    # How long the search takes tells something of the digest of what was shown at most, which nobody can choose: from
    # there is no way to a key. The comparison itself takes the same time wherever digests differ.
    digest = digest_of(shown)
    key = keys.by_digest.get(digest)
    return key if key is not None and compare_digest(bytes.fromhex(key.sha256), digest) else None


class Guard:
    """members_of: path -> what clients of that path look for beside a problem's own members."""

    def __init__(self, app: ASGIApp, access: Access, members_of: MembersOf) -> None:
        self._app = app
        self._access = access
        self._members_of = members_of
        self._routes = RouteTable()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: D102
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":  # a WebSocket; there are none here
            await send({"type": "websocket.close"})
            return
        shown = shown_key(scope)
        # OPTIONS only names methods. Preflight requests of browsers, which carry no key, end before they come here.
        route = self._routes.of(scope["path"])
        if route is not None and (route.scope is None or scope["method"] == "OPTIONS"):
            await self._app(scope, receive, send)
            return
        if route is None:
            detail = f"{scope['method']} {scope['path']}: Not Found"
            await self._problem(scope, HTTPStatus.NOT_FOUND, detail)(scope, receive, send)
            return
        key = None if shown is None else await self._access.key_of(shown)
        if key is not None:
            scope[KEY_NAME] = key.name
        refusal = self._refusal(scope, route, shown, key)
        if refusal is not None or key is None:
            # The router, which would note it, never sees this request.
            scope["route"] = route
            assert refusal is not None
            await refusal(scope, receive, send)
            return
        try:
            await self._app(scope, receive, send)
        finally:
            self._access.end(key)

    def _refusal(self, scope: Scope, route: Route, shown: str | None, key: Key | None) -> Response | None:
        """None where the request may go on, which is counted then."""
        assert route.scope is not None
        if key is None:
            return self._unauthorized(scope, shown)
        if not key.may(route.scope):
            detail = f"the key {key.name} lacks the scope {route.scope}, which this route needs"
            response = self._problem(scope, HTTPStatus.FORBIDDEN, detail, code="scope-missing")
            response.headers["WWW-Authenticate"] = f'{_REALM}, error="insufficient_scope", scope="{route.scope}"'
            return response
        if refused := self._access.begin(key):
            response = self._problem(scope, HTTPStatus.TOO_MANY_REQUESTS, refused.detail, code="key-limit")
            response.headers["Retry-After"] = str(refused.retry_after_s)
            return response
        return None

    def _unauthorized(self, scope: Scope, shown: str | None) -> Response:
        if not self._access.ring.was_read:
            detail = "this server asks for an API key, and its file of keys cannot be read: see its log"
            response = self._problem(scope, HTTPStatus.SERVICE_UNAVAILABLE, detail, code="keys-unavailable")
            response.headers["Retry-After"] = "5"
            return response
        if shown is None:
            detail = "this server asks for an API key: send it as 'Authorization: Bearer KEY' or 'X-API-Key: KEY'"
            response = self._problem(scope, HTTPStatus.UNAUTHORIZED, detail, code="key-missing")
            response.headers["WWW-Authenticate"] = _REALM
            return response
        client = scope.get("client")
        self._access.note_wrong(client[0] if client else "an unknown address")
        # Whether it is wrong, was revoked or has expired is for those who run the server.
        response = self._problem(scope, HTTPStatus.UNAUTHORIZED, "this API key does not count", code="key-invalid")
        response.headers["WWW-Authenticate"] = f'{_REALM}, error="invalid_token"'
        return response

    def _problem(self, scope: Scope, status: HTTPStatus, detail: str, code: str = "") -> Response:
        beside = self._members_of(scope["path"])
        return status_problem(status, detail, {**beside, "code": code} if code else beside)
