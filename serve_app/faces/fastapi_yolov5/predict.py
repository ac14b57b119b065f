"""One request to the fastapi-yolov5 face, from its form to its answer."""

import asyncio
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request as HttpRequest
from starlette.responses import Response

from deployments.byte_budget import HeldBytes
from deployments.errors import ServingError
from deployments.prediction import Detections, Prediction
from deployments.request import Options, Request
from deployments.useful_options import refuse_useless
from serve_app.bodies.forms import FILE, Accepted, Form, image_of
from serve_app.bodies.option_values import number_in, share
from serve_app.faces.detections import detections_of
from serve_app.faces.endpoint import json_answer
from serve_app.faces.face import FaceParts
from serve_app.faces.form_endpoint import FormEndpoint
from serve_app.formats import FORMATS, Answer
from serve_app.http.problems import SENTENCE, problem
from serve_app.http.writing import written_in_thread

MEMBERS = {"message": SENTENCE}
"""Where fastapi-yolov5 says what is wrong."""

THRESHOLD = "confidence_threshold"

_DRAWN = FORMATS["picture-png"]


@dataclass(frozen=True, slots=True)
class YoloPredict:
    """Answers by asking the model that the path names, or the default one."""

    parts: FaceParts

    async def rows(self, http_request: HttpRequest) -> Response:
        """200 with a list of what was found, or a problem that says what is wrong."""

        async def answer_form(form: Form, _: HeldBytes) -> Response:
            found = await self._found(http_request, form)
            return json_answer(_rows(detections_of(found)), found)

        return await self._endpoint().answer(http_request, answer_form)

    async def picture(self, http_request: HttpRequest) -> Response:
        """200 with the image as PNG, on which is drawn what was found; or a problem."""

        async def answer_form(form: Form, _: HeldBytes) -> Response:
            clock = asyncio.get_running_loop().time
            ends_at_s = clock() + self.parts.settings.deadline_s
            found = await self._found(http_request, form)
            detections_of(found)
            answer = Answer("image", found, form.files[FILE])
            drawn = await written_in_thread(lambda: _DRAWN.write([answer]), ends_at_s - clock())
            return Response(drawn, media_type=_DRAWN.media_type)

        return await self._endpoint().answer(http_request, answer_form)

    async def health(self, http_request: HttpRequest) -> Response:
        """200 while the model can answer, also by being woken."""
        try:
            record = self.parts.record_of(http_request.path_params.get("model", ""))
        except ServingError as error:
            return problem(error, MEMBERS)
        return json_answer({"message": "OK"}) if record.can_answer else problem(record.unavailable(), MEMBERS)

    def _endpoint(self) -> FormEndpoint:
        return FormEndpoint(self.parts.settings, self.parts.budget, Accepted(frozenset({THRESHOLD})), MEMBERS)

    async def _found(self, http_request: HttpRequest, form: Form) -> Prediction:
        threshold = share(number_in(form.fields.get(THRESHOLD, ""), THRESHOLD), THRESHOLD)
        image = image_of(form)
        record = self.parts.record_of(http_request.path_params.get("model", ""))
        refuse_useless(record, [] if threshold is None else [THRESHOLD])
        options = Options(score_threshold=threshold)
        request = Request(image, options, self.parts.settings.deadline_s, None, *form.origin)
        [found] = await self.parts.models.predictions(record, [request])
        return found


def _rows(found: Detections) -> list[dict[str, Any]]:
    rows = zip(found.labels, found.class_ids.tolist(), found.scores.tolist(), found.boxes.tolist(), strict=True)
    return [
        {
            "class_id": class_id,
            "class_name": label,
            "x": x1,
            "y": y1,
            "width": x2 - x1,
            "height": y2 - y1,
            "confidence": score,
        }
        for label, class_id, score, (x1, y1, x2, y2) in rows
    ]
