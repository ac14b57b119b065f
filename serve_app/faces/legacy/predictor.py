"""The legacy predict endpoint: a form with `file` and `model_type`, answered with a list of detections.

Decides only what is HTTP's: which part of the form is what, and how an outcome is written. Old clients post to
it with and without a trailing slash and cannot follow a redirect. A model may be one that runs elsewhere.
"""

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import orjson
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.requests import Request as HttpRequest
from starlette.responses import Response

from deployments.catalogue import Catalogue, ModelRecord, ModelState
from deployments.client.protocols import Predict
from deployments.errors import (
    DeadlineExceeded,
    InvalidImage,
    InvalidRequest,
    ServingError,
)
from deployments.external import AskExternal, ExternalRequest, Task
from deployments.legacy_answer import legacy_rows
from deployments.prediction import Opaque, Outcome, Prediction
from deployments.request import Image, Options, Request
from serve_app.faces.legacy.form_options import tiling_of
from serve_app.forms import FILE, Accepted, Form, add_query
from serve_app.problems import http_problem, problem, status_problem
from serve_app.settings import DoorSettings
from serve_app.uploads import Held, UploadBudget, UploadLimits, parse_form, read_body

OPTIONS = ("score_threshold", "iou_threshold", "max_detections", "classes", "tiling", "tiling_overlap")

FORM = Accepted(frozenset({"model_type", *OPTIONS}))

QUERY_ALIASES = {"path": "model_type"}
"""As the legacy server of 2022 called it; it was the name of a queue there, too."""

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)
_LONGEST_NUMBER = 50

CLIENT_CLOSED_REQUEST = 400
"""Nobody reads this answer: the client has gone."""


@dataclass(frozen=True, slots=True)
class Predictor:
    """Answers uploads by asking `predict`, or `ask_external` where the model runs elsewhere."""

    predict: Predict
    ask_external: AskExternal
    catalogue: Catalogue
    settings: DoorSettings
    budget: UploadBudget

    async def answer(self, http_request: HttpRequest) -> Response:
        """200 with the detections, or a problem that says what is wrong."""
        return await self.respond(http_request, self._answer_form)

    async def respond(
        self,
        http_request: HttpRequest,
        answer_form: Callable[[Form, Held], Awaitable[Response]],
        accepted: Accepted = FORM,
    ) -> Response:
        """The answer to an upload, or a problem; `answer_form` may raise ServingError."""
        client = http_request.client.host if http_request.client else ""
        try:
            with self.budget.hold(client) as held:
                body = await read_body(http_request, self._limits, held)
                form = parse_form(http_request.headers.get("content-type", ""), body, accepted)
                if query := http_request.scope["query_string"]:
                    add_query(form, query, accepted, QUERY_ALIASES)
                return await answer_form(form, held)
        except ClientDisconnect:
            return status_problem(CLIENT_CLOSED_REQUEST, "the client went away", is_legacy=True)
        except HTTPException as error:
            return http_problem(error, error.detail, is_legacy=True)
        except ServingError as error:
            return problem(error, is_legacy=True)

    @property
    def _limits(self) -> UploadLimits:
        settings = self.settings
        return UploadLimits(settings.max_upload_bytes, settings.upload_stall_s, settings.min_upload_bytes_per_s)

    async def _answer_form(self, form: Form, _: Held) -> Response:
        record = self.record_of(form)
        request = Request(image_of(form), options_of(form.fields), self.settings.deadline_s)
        outcome = await self.ask(record, request)
        return problem(outcome, is_legacy=True) if isinstance(outcome, ServingError) else _success(outcome)

    def record_of(self, form: Form) -> ModelRecord:
        """The model that the form names, or the default one. Raises InvalidRequest and ModelNotFound."""
        name = form.fields.get("model_type", "").strip() or self.settings.default_model
        if name is None:
            raise InvalidRequest("the field 'model_type' is missing, and no default model is configured")
        record = self.catalogue.resolve(name)
        given = [option for option in OPTIONS if form.fields.get(option, "").strip()]
        if record.is_external and given:
            # Options are inputs of our own postprocessing: what runs elsewhere has its own.
            raise InvalidRequest(f"{given[0]} has no effect: {record.name} runs elsewhere and has options of its own")
        return record

    async def ask(self, record: ModelRecord, request: Request) -> Outcome:
        """The model's outcome. Raises ModelUnavailable when it cannot answer now."""
        if not record.can_answer and record.state is not ModelState.STARTING:
            raise record.unavailable()
        if record.is_external:
            task = ExternalRequest(Task.PREDICT, request.image, request.deadline_s)
            return await self.ask_external(record.name, task)
        [outcome] = await self.predict(record.name, [request])
        if isinstance(outcome, DeadlineExceeded) and not record.can_answer:
            return record.unavailable()
        return outcome


def image_of(form: Form) -> Image:
    """The uploaded file. Raises InvalidRequest and InvalidImage."""
    content = form.files.get(FILE)
    if content is None:
        sent = ", ".join(sorted(form.fields))[:200]
        raise InvalidRequest(f"the form has no file part named 'file'; it has: {sent or 'nothing'}")
    if len(content) == 0:
        raise InvalidImage("the part 'file' is empty")
    return Image.from_encoded(content)


def options_of(fields: dict[str, str]) -> Options:
    """What the form says beside model and image. Raises InvalidRequest."""
    classes = tuple(label.strip() for label in fields.get("classes", "").split(",") if label.strip())
    return Options(
        score_threshold=_number(fields, "score_threshold"),
        iou_threshold=_number(fields, "iou_threshold"),
        max_detections=_whole_number(fields, "max_detections"),
        classes=classes or None,
        tiling=tiling_of(fields),
    )


def _number(fields: dict[str, str], name: str) -> float | None:
    text = fields.get(name, "").strip()
    if not text:
        return None
    # Python's own reading knows infinities, underscores and the digits of all scripts, too.
    if len(text) > _LONGEST_NUMBER or not _NUMBER.fullmatch(text):
        raise InvalidRequest(f"{name} must be a number such as 0.5, got {text[:50]!r}")
    return float(text)


def _whole_number(fields: dict[str, str], name: str) -> int | None:
    number = _number(fields, name)
    if number is None:
        return None
    if not number.is_integer():
        raise InvalidRequest(f"{name} must be a whole number, got {fields[name].strip()[:50]!r}")
    return int(number)


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
        headers={"Server-Timing": _server_timing(outcome)},
    )


def _server_timing(prediction: Prediction) -> str:
    seconds = prediction.timings.stage_seconds()
    return ", ".join(f"{stage};dur={spent_s * 1000:.1f}" for stage, spent_s in seconds.items())
