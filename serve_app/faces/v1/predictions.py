"""One request to `/v1/models/{model}/predict`, from its body to its answer."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import TypeVar

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.requests import Request as HttpRequest
from starlette.responses import Response

from deployments.byte_budget import ByteBudget, HeldBytes
from deployments.catalogue import ModelRecord
from deployments.errors import DeadlineExceeded, ServingError
from deployments.prediction import Outcome
from deployments.request import Image, Request
from deployments.useful_options import refuse_useless
from serve_app.faces.face import ModelAccess
from serve_app.faces.v1 import options
from serve_app.faces.v1.answers import Answered, write
from serve_app.faces.v1.sent import SentImage, read_sent
from serve_app.formats import chosen
from serve_app.formats.contract import Format, NotAcceptable
from serve_app.origins import origin_of
from serve_app.problems import http_problem, problem, status_problem
from serve_app.settings import DoorSettings
from serve_app.uploads import UploadLimits, read_body

LEAST_WRITING_S = 2.0
"""For writing an answer, also where the model took all the time that there was. Clients wait for 5 s longer."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Predictions:
    """Answers by asking the model that the path names."""

    models: ModelAccess
    settings: DoorSettings
    budget: ByteBudget

    async def answer(self, http_request: HttpRequest) -> Response:
        """200 with what was found, or a problem that says what is wrong."""
        client = http_request.client.host if http_request.client else ""
        try:
            with self.budget.open(client) as held:
                return await self._answer(http_request, held)
        except ClientDisconnect:
            # Nobody reads this answer; it is counted as an error of the client.
            return status_problem(HTTPStatus.BAD_REQUEST, "the client went away")
        except HTTPException as error:
            return http_problem(error, error.detail)
        except NotAcceptable as error:
            return status_problem(HTTPStatus.NOT_ACCEPTABLE, str(error))
        except ServingError as error:
            return problem(error)

    async def _answer(self, http_request: HttpRequest, held: HeldBytes) -> Response:
        headers = http_request.headers
        body = await read_body(http_request, UploadLimits.of(self.settings), held)
        sent = await read_sent(headers.get("content-type", ""), body, held)
        given = options.joined(options.from_query(http_request.scope["query_string"]), sent.given)
        written = _format_of(str(given.pop(options.FORMAT, "")), ",".join(headers.getlist("accept")))
        record = self.models.catalogue.resolve(http_request.path_params["model"])
        refuse_useless(record, given)
        clock = asyncio.get_running_loop().time
        ends_at_s = clock() + self.settings.deadline_s
        origin = origin_of(http_request)
        wanted = options.options_in(given)

        def request_of(image: SentImage) -> Request:
            return Request(Image.from_encoded(image.content), wanted, self.settings.deadline_s, None, *origin)

        outcomes = await self._ask_all(record, [request_of(image) for image in sent.images])
        answered = Answered(record, sent.images, outcomes)
        if (error := answered.failed()) is not None:
            return problem(error)
        if not answered.is_slow(written):
            return write(answered, written, self.models.catalogue)
        return await _in_thread(lambda: write(answered, written, self.models.catalogue), ends_at_s - clock())

    async def _ask_all(self, record: ModelRecord, requests: list[Request]) -> list[Outcome]:
        """The outcomes in the order of the requests, which are asked at the same time. Cancelling ends them all."""
        if len(requests) == 1:
            return [await self._ask(record, requests[0])]
        async with asyncio.TaskGroup() as tasks:
            asked = [tasks.create_task(self._ask(record, request)) for request in requests]
        return [task.result() for task in asked]

    async def _ask(self, record: ModelRecord, request: Request) -> Outcome:
        try:
            return await self.models.ask(record, request)
        except ServingError as error:
            return error


def _format_of(name: str, accept: str) -> Format | None:
    # Nearly all clients say nothing, or `*/*`, and what that means need not be found out for each image.
    return chosen(name, accept) if name or accept not in ("", "*/*") else None


async def _in_thread(work: Callable[[], T], patience_s: float) -> T:
    try:
        return await asyncio.wait_for(asyncio.to_thread(work), max(patience_s, LEAST_WRITING_S))
    except TimeoutError:
        raise DeadlineExceeded("the images were looked at, and there was no time to write the answer") from None
