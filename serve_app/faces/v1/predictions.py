"""One request to `/v1/models/{model}/predict`, from its body to its answer."""

import asyncio
from dataclasses import dataclass
from http import HTTPStatus

from starlette.exceptions import HTTPException
from starlette.requests import Request as HttpRequest
from starlette.responses import Response

from deployments.byte_budget import ByteBudget, HeldBytes
from deployments.request import Image, Request
from deployments.useful_options import refuse_useless
from serve_app.faces.endpoint import Endpoint
from serve_app.faces.face import ModelAccess
from serve_app.faces.v1 import options
from serve_app.faces.v1.answers import Answered, write
from serve_app.faces.v1.sent import SentImage, read_sent
from serve_app.formats import chosen
from serve_app.formats.contract import Format, NotAcceptable
from serve_app.origins import origin_of
from serve_app.problems import problem
from serve_app.settings import DoorSettings
from serve_app.uploads import UploadLimits, read_body
from serve_app.writing import written_in_thread


@dataclass(frozen=True, slots=True)
class Predictions:
    """Answers by asking the model that the path names."""

    models: ModelAccess
    settings: DoorSettings
    budget: ByteBudget

    async def answer(self, http_request: HttpRequest) -> Response:
        """200 with what was found, or a problem that says what is wrong."""
        return await Endpoint(self.budget).answer(http_request, self._answer)

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

        outcomes = await self.models.ask_all(record, [request_of(image) for image in sent.images])
        answered = Answered(record, sent.images, outcomes)
        if (error := answered.failed()) is not None:
            return problem(error)
        if not answered.is_slow(written):
            return write(answered, written, self.models.catalogue)
        return await written_in_thread(lambda: write(answered, written, self.models.catalogue), ends_at_s - clock())


def _format_of(name: str, accept: str) -> Format | None:
    # Nearly all clients say nothing, or `*/*`, and what that means need not be found out for each image.
    if not name and accept in ("", "*/*"):
        return None
    try:
        return chosen(name, accept)
    except NotAcceptable as error:
        raise HTTPException(HTTPStatus.NOT_ACCEPTABLE, str(error)) from None
