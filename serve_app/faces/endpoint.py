"""What every endpoint that takes images does around its own work."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import orjson
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.requests import Request as HttpRequest
from starlette.responses import Response

from deployments.byte_budget import ByteBudget, HeldBytes
from deployments.errors import ServingError
from deployments.prediction import Prediction
from serve_app.bodies.forms import refuse_query
from serve_app.http.problems import http_problem, problem, status_problem
from serve_app.http.server_timing import server_timing

Work = Callable[[HttpRequest, HeldBytes], Awaitable[Response]]
"""Reads a request within the bytes that it may hold, and answers it. May raise ServingError and HTTPException."""


def json_answer(body: Any, prediction: Prediction | None = None) -> Response:
    """200 with `body` as JSON. prediction: whose times stand in the header Server-Timing."""
    written = orjson.dumps(body, option=orjson.OPT_SERIALIZE_NUMPY)
    headers = {} if prediction is None else {"Server-Timing": server_timing(prediction)}
    return Response(written, media_type="application/json", headers=headers)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Gives the work its share of memory, and answers its errors with the problems of the face.

    beside: what the face's clients look for beside a problem's own members (`Face.problem_members`).
    reads_query: whether the work reads the query. Where it does not, a query is refused: it would have no effect.
    """

    budget: ByteBudget
    beside: Mapping[str, Any] = field(default_factory=dict)
    reads_query: bool = False

    async def answer(self, http_request: HttpRequest, work: Work) -> Response:
        """What `work` answers, or a problem."""
        client = http_request.client.host if http_request.client else ""
        try:
            if not self.reads_query:
                refuse_query(http_request.scope["query_string"])
            with self.budget.open(client) as held:
                return await work(http_request, held)
        except ClientDisconnect:
            # Nobody reads this answer; it is counted as an error of the client.
            return status_problem(HTTPStatus.BAD_REQUEST, "the client went away", self.beside)
        except HTTPException as error:
            return http_problem(error, error.detail, self.beside)
        except ServingError as error:
            return problem(error, self.beside)
