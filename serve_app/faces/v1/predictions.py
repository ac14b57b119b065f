"""One request to `/v1/models/{model}/predict`, from its body to its answer."""

import asyncio
from dataclasses import dataclass
from http import HTTPStatus

from starlette.exceptions import HTTPException
from starlette.requests import Request as HttpRequest
from starlette.responses import Response

from deployments.byte_budget import HeldBytes
from deployments.request import Image, Request
from deployments.useful_options import refuse_useless
from serve_app.bodies.uploads import UploadLimits, read_body
from serve_app.faces.endpoint import Endpoint
from serve_app.faces.face import FaceParts
from serve_app.faces.v1 import options
from serve_app.faces.v1.answers import Answered, write
from serve_app.faces.v1.sent import SentImage, fetched, read_sent
from serve_app.formats import chosen
from serve_app.formats.contract import Format, NotAcceptable
from serve_app.http.origins import origin_of
from serve_app.http.problems import problem
from serve_app.http.writing import written_in_thread

LEAST_LEFT_S = 0.001
"""A model is asked with more than no time; it says itself that there was too little."""


@dataclass(frozen=True, slots=True)
class Predictions:
    """Answers by asking the model that the path names."""

    parts: FaceParts

    async def answer(self, http_request: HttpRequest) -> Response:
        """200 with what was found, or a problem that says what is wrong."""
        return await Endpoint(self.parts.budget, reads_query=True).answer(http_request, self._answer)

    async def _answer(self, http_request: HttpRequest, held: HeldBytes) -> Response:
        headers = http_request.headers
        models, settings = self.parts.models, self.parts.settings
        body = await read_body(http_request, UploadLimits.of(settings), held)
        sent = await read_sent(headers.get("content-type", ""), body, held)
        given = options.joined(options.from_query(http_request.scope["query_string"]), sent.given)
        written = _format_of(str(given.pop(options.FORMAT, "")), ",".join(headers.getlist("accept")))
        record = models.catalogue.resolve(http_request.path_params["model"])
        refuse_useless(record, given)
        clock = asyncio.get_running_loop().time
        ends_at_s = clock() + settings.deadline_s
        origin = origin_of(http_request)
        wanted = options.options_in(given)

        images = await fetched(sent.images, self.parts.fetcher, held, ends_at_s)
        deadline_s = max(ends_at_s - clock(), LEAST_LEFT_S)

        def request_of(image: SentImage) -> Request:
            return Request(Image.from_encoded(image.content), wanted, deadline_s, None, *origin)

        outcomes = await models.ask_all(record, [request_of(image) for image in images])
        answered = Answered(record, images, outcomes)
        if (error := answered.failed()) is not None:
            return problem(error)
        if not answered.is_slow(written):
            return write(answered, written, models.catalogue)
        return await written_in_thread(lambda: write(answered, written, models.catalogue), ends_at_s - clock())


def _format_of(name: str, accept: str) -> Format | None:
    # Nearly all clients say nothing, or `*/*`, and what that means need not be found out for each image.
    if not name and accept in ("", "*/*"):
        return None
    try:
        return chosen(name, accept)
    except NotAcceptable as error:
        raise HTTPException(HTTPStatus.NOT_ACCEPTABLE, str(error)) from None
