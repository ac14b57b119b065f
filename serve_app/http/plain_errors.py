"""How errors leave the door: those of the libraries below it, which are plain text, as problem documents (a range
that a file does not have, a preflight request for what is not allowed), and all in the media type of their face."""

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from serve_app.http.openapi_parts import PROBLEM_TYPE
from serve_app.http.problems import status_problem

MembersOf = Callable[[str], Mapping[str, Any]]


class ProblemDocuments:
    """Answers with `application/problem+json` where `app` answers an error in plain text. Other headers stay.

    members_of: path -> what clients of that path look for beside the problem's own members.
    """

    def __init__(self, app: ASGIApp, members_of: MembersOf) -> None:
        self._app = app
        self._members_of = members_of

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: D102
        if scope["type"] == "http":
            send = self._as_document(send, scope["path"])
        await self._app(scope, receive, send)

    def _as_document(self, send: Send, path: str) -> Send:
        head: Message | None = None
        text = b""

        async def send_document(message: Message) -> None:
            nonlocal head, text
            if message["type"] == "http.response.start" and _is_plain_error(message):
                head = message
                return
            if head is None:
                await send(message)
                return
            text += message.get("body", b"")
            if message.get("more_body", False):
                return
            status = HTTPStatus(head["status"])
            document = status_problem(
                status, text.decode(errors="replace") or status.description, self._members_of(path)
            )
            about_text = (b"content-type", b"content-length")
            kept = [field for field in head["headers"] if field[0].lower() not in about_text]
            await send({**head, "headers": [*kept, *document.raw_headers]})
            await send({"type": "http.response.body", "body": document.body})

        return send_document


def _is_plain_error(head: Message) -> bool:
    if head["status"] < 400:
        return False
    return Headers(raw=head["headers"]).get("content-type", "").startswith("text/plain")


class ProblemTypes:
    """Gives problem documents another media type below some prefixes, whoever wrote them.

    types: prefix, with the slash at its end -> media type.
    """

    def __init__(self, app: ASGIApp, types: Mapping[str, str]) -> None:
        self._app = app
        self._types = types

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: D102
        path = scope["path"] if scope["type"] == "http" else ""
        media_type = next((of for prefix, of in self._types.items() if path.startswith(prefix)), None)
        if media_type is None:
            await self._app(scope, receive, send)
            return
        other = (b"content-type", media_type.encode())

        async def send_as_other(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = [other if field == _PROBLEM_FIELD else field for field in message["headers"]]
                message = {**message, "headers": headers}
            await send(message)

        await self._app(scope, receive, send_as_other)


_PROBLEM_FIELD = (b"content-type", PROBLEM_TYPE.encode())
