"""One call of a function, from its body to its annotations."""

import asyncio
from dataclasses import dataclass

import orjson
from starlette.requests import Request as HttpRequest
from starlette.responses import Response

from deployments.byte_budget import HeldBytes
from deployments.errors import InvalidRequest, ServingError
from deployments.prediction import Prediction
from deployments.request import Image, Options, Request
from serve_app.bodies.json_bodies import read_bounded
from serve_app.bodies.uploads import UploadLimits, read_body
from serve_app.faces.cvat.annotations import annotations_of, mask_bytes
from serve_app.faces.cvat.call import Call, read_call
from serve_app.faces.cvat.functions import finds_objects, function_named
from serve_app.faces.endpoint import Endpoint
from serve_app.faces.face import FaceParts
from serve_app.http.origins import origin_of
from serve_app.http.problems import SENTENCE
from serve_app.http.writing import written_in_thread

PROBLEM_MEMBERS = {"error": SENTENCE}
"""As Nuclio's dashboard says what is wrong."""

FUNCTION_NAME = "x-nuclio-function-name"
"""The header that names the function. CVAT sends others, which say where in Nuclio it runs and how: they have no
meaning here."""


@dataclass(frozen=True, slots=True)
class Invocations:
    """Answers by asking the model that is the function."""

    parts: FaceParts

    async def answer(self, http_request: HttpRequest) -> Response:
        """200 with a list of annotations, or a problem that says what is wrong."""
        return await Endpoint(self.parts.budget, PROBLEM_MEMBERS).answer(http_request, self._answer)

    async def _answer(self, http_request: HttpRequest, held: HeldBytes) -> Response:
        settings, models = self.parts.settings, self.parts.models
        body = await read_body(http_request, UploadLimits.of(settings), held)
        name = http_request.headers.get(FUNCTION_NAME, "")
        if not name:
            raise InvalidRequest(f"the header {FUNCTION_NAME} is missing: the function to call")
        record = function_named(models.catalogue, name)
        call = await read_bounded(read_call, body, held)
        clock = asyncio.get_running_loop().time
        ends_at_s = clock() + settings.deadline_s
        # Only detections are thinned out by their scores in the model.
        options = Options(score_threshold=call.threshold if finds_objects(record) else None)
        image = Image.from_encoded(call.image)
        outcome = await models.ask(
            record, Request(image, options, settings.deadline_s, None, *origin_of(http_request))
        )
        if isinstance(outcome, ServingError):
            raise outcome
        if not isinstance(outcome, Prediction):
            raise InvalidRequest(f"{name} is answered elsewhere, in a form that is not known here")
        held.grow(mask_bytes(outcome))
        return await _written(outcome, call, ends_at_s - clock())


async def _written(prediction: Prediction, call: Call, patience_s: float) -> Response:
    def write() -> bytes:
        return orjson.dumps(annotations_of(prediction, call.threshold), option=orjson.OPT_SERIALIZE_NUMPY)

    if not mask_bytes(prediction):
        return Response(write(), media_type="application/json")
    return Response(await written_in_thread(write, patience_s), media_type="application/json")
