"""What every endpoint does that takes a form with one image, of whichever face."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request as HttpRequest
from starlette.responses import Response

from deployments.byte_budget import ByteBudget, HeldBytes
from serve_app.bodies.forms import Accepted, Form, add_query
from serve_app.bodies.uploads import UploadLimits, parse_form, read_body
from serve_app.faces.endpoint import Endpoint
from serve_app.http.origins import origin_of
from serve_app.settings import DoorSettings

AnswerForm = Callable[[Form, HeldBytes], Awaitable[Response]]
"""Answers a form whose bytes are held already; what it holds beside them is charged to the same client. May raise
ServingError."""


@dataclass(frozen=True, slots=True)
class FormEndpoint:
    """Reads the form and the query of a request, and answers errors with the problems of the face.

    beside: what the face's clients look for beside a problem's own members (`Face.problem_members`).
    aliases: other names of fields, in the query.
    """

    settings: DoorSettings
    budget: ByteBudget
    accepted: Accepted
    beside: Mapping[str, Any] = field(default_factory=dict)
    aliases: Mapping[str, str] = field(default_factory=dict)

    async def answer(self, http_request: HttpRequest, answer_form: AnswerForm) -> Response:
        """What `answer_form` answers, or a problem that says what is wrong."""

        async def read_and_answer(http_request: HttpRequest, held: HeldBytes) -> Response:
            body = await read_body(http_request, UploadLimits.of(self.settings), held)
            form = parse_form(http_request.headers.get("content-type", ""), body, self.accepted)
            form.origin = origin_of(http_request)
            if query := http_request.scope["query_string"]:
                add_query(form, query, self.accepted, self.aliases)
            return await answer_form(form, held)

        return await Endpoint(self.budget, self.beside, reads_query=True).answer(http_request, read_and_answer)
