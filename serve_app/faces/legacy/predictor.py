"""The legacy predict endpoint: a form with `file` and `model_type`, answered with a list of detections.

Decides only what is HTTP's: which part of the form is what, and how an answer is written. A model may run elsewhere.
"""

from dataclasses import dataclass

import orjson
from starlette.requests import Request as HttpRequest
from starlette.responses import Response

from deployments.byte_budget import ByteBudget, HeldBytes
from deployments.catalogue import ModelRecord
from deployments.errors import InvalidRequest, ServingError
from deployments.legacy_answer import legacy_rows
from deployments.prediction import Opaque, Prediction
from deployments.request import Request
from deployments.useful_options import refuse_useless
from serve_app.bodies.forms import Accepted, Form, image_of
from serve_app.faces.face import ModelAccess
from serve_app.faces.form_endpoint import AnswerForm, FormEndpoint
from serve_app.faces.legacy.form_options import FORM, OPTIONS, QUERY_ALIASES, options_of
from serve_app.http.problems import LEGACY_MEMBERS, problem
from serve_app.http.server_timing import server_timing
from serve_app.settings import DoorSettings


@dataclass(frozen=True, slots=True)
class Predictor:
    """Answers uploads by asking the model that the form names."""

    models: ModelAccess
    settings: DoorSettings
    budget: ByteBudget

    async def answer(self, http_request: HttpRequest) -> Response:
        """200 with the detections, or a problem that says what is wrong."""
        return await self.respond(http_request, self._answer_form)

    async def respond(
        self, http_request: HttpRequest, answer_form: AnswerForm, accepted: Accepted = FORM
    ) -> Response:
        """The answer to an upload, or a problem; `answer_form` may raise ServingError."""
        endpoint = FormEndpoint(self.settings, self.budget, accepted, LEGACY_MEMBERS, QUERY_ALIASES)
        return await endpoint.answer(http_request, answer_form)

    async def _answer_form(self, form: Form, _: HeldBytes) -> Response:
        record = self.record_of(form)
        request = Request(image_of(form), options_of(form.fields), self.settings.deadline_s, None, *form.origin)
        outcome = await self.models.ask(record, request)
        return problem(outcome, LEGACY_MEMBERS) if isinstance(outcome, ServingError) else _success(outcome)

    def record_of(self, form: Form) -> ModelRecord:
        """The model that the form names, or the default one. Raises InvalidRequest and ModelNotFound."""
        name = form.fields.get("model_type", "").strip() or self.settings.default_model
        if name is None:
            raise InvalidRequest("the field 'model_type' is missing, and no default model is configured")
        record = self.models.catalogue.resolve(name)
        if record.is_external:
            refuse_useless(record, (option for option in OPTIONS if form.fields.get(option, "").strip()))
        return record


def _success(outcome: Prediction | Opaque) -> Response:
    if isinstance(outcome, Opaque):
        body = b'{"success":true,"predictions":' + outcome.payload + b"}"
        return Response(body, media_type="application/json")
    height, width = outcome.image_size_px
    answer = {
        "success": True,
        "predictions": legacy_rows(outcome),
        "model": outcome.model,
        "revision": outcome.revision,
        "image": {"width": width, "height": height},
    }
    return Response(
        orjson.dumps(answer),
        media_type="application/json",
        headers={"Server-Timing": server_timing(outcome)},
    )
