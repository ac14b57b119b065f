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
from serve_app.access.allowances import Allowance, Allowances, Refused
from serve_app.access.credentials import shown_key
from serve_app.access.key_ring import KeyRing
from serve_app.access.keys import Key, Keys, digest_of
from serve_app.access.keys import Scope as KeyScope
from serve_app.access.routes import RouteTable
from serve_app.http.problems import status_problem

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

    async def keys(self) -> Keys:
        """Those that count now."""
        keys = await self.ring.keys()
        self._allowances.keep(keys.names)
        return keys

    async def knows(self, scope: Scope) -> bool:
        """Whether a request shows a key that counts, whatever that key may do."""
        return key_that_counts(await self.keys(), shown_key(scope)) is not None

    def begin(self, key: Key) -> Allowance | Refused:
        """Counts a request of `key` that begins, until `end` of what this gives; or says why it may not."""
        allowance = self._allowances.of(key)
        return allowance.take(key, max(1, self._doors()), self._clock()) or allowance

    def note_wrong(self, client: str) -> None:
        """A request showed a key that does not count. One line a minute: strangers must not fill the log."""
        self._wrong += 1
        if self._clock() - self._told_at_s >= _TOLD_PERIOD_S:
            logger.warning("%d requests showed a key that is not valid, the last from %s", self._wrong, client)
            self._wrong, self._told_at_s = 0, self._clock()


def key_that_counts(keys: Keys, shown: str | None) -> Key | None:
    """The key that was shown, if it is one of `keys` and has not expired."""
    if shown is None:
        return None
    # How long the search takes tells something of the digest of what was shown at most, which nobody can choose: from
    # there is no way to a key. The comparison itself takes the same time wherever digests differ.
    digest = digest_of(shown)
    key = keys.by_digest.get(digest)
    if key is None or not compare_digest(bytes.fromhex(key.sha256), digest):
        return None
    return None if key.has_expired(datetime.now(UTC)) else key


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
        if scope["type"] != "http":
            await self._guard_websocket(scope, receive, send)
            return
        shown = shown_key(scope)
        route = self._routes.of(scope["path"])
        # OPTIONS only names methods. Preflight requests of browsers, which carry no key, end before they come here.
        if route is not None and (route.scope_for(scope["method"]) is None or scope["method"] == "OPTIONS"):
            # Without waiting for it: so health tells of a broken file though nobody shows a key.
            self._access.ring.look_soon()
            await self._app(scope, receive, send)
            return
        if route is None:
            admitted: Allowance | Response = self._not_there(scope)
        else:
            admitted = self._admit(scope, route.scope_for(scope["method"]), shown, await self._access.keys())
        if isinstance(admitted, Response):
            # The router, which would note it, never sees this request.
            scope["route"] = route
            await admitted(scope, receive, send)
            return
        try:
            await self._app(scope, receive, send)
        finally:
            admitted.end()

    async def _guard_websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        """A WebSocket that is closed before it was accepted is a 403 for its client, without a body."""
        route, shown = self._routes.of(scope["path"]), shown_key(scope)
        admitted = None
        if route is not None and route.scope is not None:
            admitted = self._admit(scope, route.scope, shown, await self._access.keys())
        if not isinstance(admitted, Allowance):
            await send({"type": "websocket.close"})
            return
        try:
            await self._app(scope, receive, send)
        finally:
            admitted.end()

    def _admit(self, scope: Scope, needed: KeyScope | None, shown: str | None, keys: Keys) -> Allowance | Response:
        """What counts the request until its end, or why it may not go on."""
        key = key_that_counts(keys, shown)
        if key is None:
            return self._unauthorized(scope, shown)
        scope[KEY_NAME] = key.name
        if needed is not None and not key.may(needed):
            detail = f"the key {key.name} lacks the scope {needed}, which this route needs"
            response = self._problem(scope, HTTPStatus.FORBIDDEN, detail, code="scope-missing")
            response.headers["WWW-Authenticate"] = f'{_REALM}, error="insufficient_scope", scope="{needed}"'
            return response
        begun = self._access.begin(key)
        if isinstance(begun, Allowance):
            return begun
        response = self._problem(scope, HTTPStatus.TOO_MANY_REQUESTS, begun.detail, code="key-limit")
        response.headers["Retry-After"] = str(begun.retry_after_s)
        return response

    def _not_there(self, scope: Scope) -> Response:
        return self._problem(scope, HTTPStatus.NOT_FOUND, f"{scope['method']} {scope['path']}: Not Found")

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
        response = self._problem(scope, HTTPStatus.UNAUTHORIZED, "this API key is not valid", code="key-invalid")
        response.headers["WWW-Authenticate"] = f'{_REALM}, error="invalid_token"'
        return response

    def _problem(self, scope: Scope, status: HTTPStatus, detail: str, code: str = "") -> Response:
        beside = self._members_of(scope["path"])
        return status_problem(status, detail, {**beside, "code": code} if code else beside)
