"""What the face answers to Label Studio: whether a model is there, whether it suits a project, and what it finds."""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

import orjson
from starlette.requests import Request as HttpRequest
from starlette.responses import Response

from deployments.byte_budget import HeldBytes
from deployments.catalogue import ModelRecord
from deployments.errors import DeadlineExceeded, InvalidRequest, ServingError
from deployments.logs import OWN_LOGGER
from deployments.origin import about
from deployments.prediction import ClassScores, Detections, Opaque, Prediction
from deployments.request import Image, Request
from serve_app.bodies.uploads import UploadLimits, read_body
from serve_app.faces.endpoint import Endpoint
from serve_app.faces.face import FaceParts
from serve_app.faces.label_studio import messages
from serve_app.faces.label_studio.images import TaskImages
from serve_app.faces.label_studio.label_config import LabelConfig, read_config
from serve_app.faces.label_studio.projects import Projects, Uploads
from serve_app.faces.label_studio.regions import results_of
from serve_app.faces.label_studio.suitable import check_suitable, options_for, version_of
from serve_app.http.origins import origin_of
from serve_app.http.problems import SENTENCE, problem, problem_members

logger = logging.getLogger(OWN_LOGGER)

MEMBERS: Mapping[str, Any] = {"error": SENTENCE}

MOST_AT_ONCE = 8
"""Tasks of one request whose images are in memory at the same time."""

_RESULT_BYTES = 1000
_RUN_LENGTH_BYTES = 5
_POINT_BYTES = 160
"""What a result takes in memory and in JSON, and what each byte of a mask and each point of an outline does."""

_IN_THREAD_FROM_RESULTS = 500
"""Some 5 ms."""

_IN_THREAD_FROM_BYTES = 2**22
"""Of what a request holds, most of it its answer by then."""

_LOGGED_ERRORS = 5
"""Of one request."""

Entry = dict[str, Any]


@dataclass(frozen=True, slots=True)
class _Asked:
    """What all tasks of a request share. held: for what is answered."""

    record: ModelRecord
    config: LabelConfig
    images: TaskImages
    http_request: HttpRequest
    held: HeldBytes
    ends_at_s: float
    room: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(MOST_AT_ONCE))


@dataclass(frozen=True, slots=True)
class Backend:
    """Answers in the place of a machine learning backend, one for each model."""

    parts: FaceParts
    projects: Projects = field(default_factory=Projects)

    def health(self, http_request: HttpRequest) -> Response:
        """200 while the model would be asked, else a problem."""
        try:
            record = self._record(http_request)
            if not record.can_answer:
                raise record.unavailable()
        except ServingError as error:
            return problem(error, MEMBERS)
        return _json({"status": "UP", "model_class": record.name})

    def versions(self, http_request: HttpRequest) -> Response:
        """The one version that there is."""
        try:
            return _json({"versions": [version_of(self._record(http_request))]})
        except ServingError as error:
            return problem(error, MEMBERS)

    async def setup(self, http_request: HttpRequest) -> Response:
        """Whether the model suits the project's configuration; remembers where its uploaded files are."""
        return await self._endpoint.answer(http_request, self._setup)

    async def predict(self, http_request: HttpRequest) -> Response:
        """Predictions for tasks."""
        return await self._endpoint.answer(http_request, self._predict)

    async def webhook(self, http_request: HttpRequest) -> Response:
        """Takes note that something happened in a project. Nothing is trained here."""
        return await self._endpoint.answer(http_request, self._webhook)

    @property
    def _endpoint(self) -> Endpoint:
        return Endpoint(self.parts.budget, MEMBERS)

    def _record(self, http_request: HttpRequest) -> ModelRecord:
        record = self.parts.models.catalogue.resolve(http_request.path_params["model"])
        if record.is_external:
            raise InvalidRequest(f"{record.name} runs elsewhere and answers in its own way, not in Label Studio's")
        return record

    async def _members(self, http_request: HttpRequest, held: HeldBytes) -> dict[str, Any]:
        body = await read_body(http_request, UploadLimits.of(self.parts.settings), held)
        return await messages.read_object(body, held)

    async def _setup(self, http_request: HttpRequest, held: HeldBytes) -> Response:
        members = await self._members(http_request, held)
        record = self._record(http_request)
        try:
            messages.check_members(members, messages.SETUP)
            if members.get("extra_params"):
                raise InvalidRequest("extra_params have no effect here: leave them empty")
            check_suitable(record, await _config(members.get("schema"), "schema"))
            key, project = self.parts.key_of(http_request), messages.project_in(members)
            self.projects.remember(key, project, Uploads.said_in(members))
        except InvalidRequest as error:
            _log(http_request, record, [error])
            raise
        return _json({"model_version": version_of(record)})

    async def _webhook(self, http_request: HttpRequest, held: HeldBytes) -> Response:
        action = messages.text_in(await self._members(http_request, held), "action", 100)
        if not action:
            raise InvalidRequest("action must say what happened, such as ANNOTATION_CREATED")
        self._record(http_request)
        answer = {"result": f"{action}: noted, and nothing is trained here", "status": "ok"}
        return _json(answer, HTTPStatus.CREATED)

    async def _predict(self, http_request: HttpRequest, held: HeldBytes) -> Response:
        record = self._record(http_request)
        members = await self._members(http_request, held)
        ends_at_s = asyncio.get_running_loop().time() + self.parts.settings.deadline_s
        try:
            messages.check_members(members, messages.PREDICT)
            params = messages.params_in(members)
            tasks = messages.tasks_in(members)
            config = await _config(members.get("label_config"), "label_config")
            check_suitable(record, config)
            project = messages.project_in(members)
            uploads = Uploads.said_in(params) or self.projects.of(self.parts.key_of(http_request), project)
        except InvalidRequest as error:
            _log(http_request, record, [error])
            raise
        images = TaskImages(self.parts.fetcher, config.data_key, uploads)
        asked = _Asked(record, config, images, http_request, held, ends_at_s)
        async with asyncio.TaskGroup() as group:
            under_way = [group.create_task(self._entry_or_error(asked, task)) for task in tasks]
        entries = [one.result() for one in under_way]
        if held.size_bytes < _IN_THREAD_FROM_BYTES:
            return _answer(asked, entries)
        return await asyncio.to_thread(_answer, asked, entries)

    async def _entry_or_error(self, asked: _Asked, task: Mapping[str, Any]) -> Entry | ServingError:
        try:
            async with asked.room:
                return await self._entry(asked, task)
        except ServingError as error:
            return error

    async def _entry(self, asked: _Asked, task: Mapping[str, Any]) -> Entry:
        clock = asyncio.get_running_loop().time
        with self.parts.budget.open(asked.held.client or "") as held:
            content = await asked.images.image_of(task, held, asked.ends_at_s)
            left_s = asked.ends_at_s - clock()
            if left_s <= 0:
                raise DeadlineExceeded("there was no time left for this task; ask for fewer at once")
            options = options_for(asked.record, asked.config)
            origin = origin_of(asked.http_request)
            request = Request(Image.from_encoded(content), options, left_s, None, *origin)
            outcome = await self.parts.models.ask(asked.record, request)
        if isinstance(outcome, ServingError):
            raise outcome
        assert not isinstance(outcome, Opaque), "an external model is refused before"
        results = await _results(outcome, asked.config)
        asked.held.grow(sum(map(_taken_bytes, results)))
        scores = [one["score"] for one in results]
        score = sum(scores) / len(scores) if scores else None
        return {"result": results, "score": score, "model_version": f"{outcome.model}@{outcome.revision}"}


async def _config(text: Any, field_name: str) -> LabelConfig:
    # A megabyte of XML takes some 20 ms.
    return await asyncio.to_thread(read_config, text, field_name)


async def _results(prediction: Prediction, config: LabelConfig) -> list[Entry]:
    found = prediction.result
    labels = len(found.labels) if isinstance(found, Detections | ClassScores) else 0
    has_masks = isinstance(found, Detections) and found.masks is not None
    if not has_masks and labels * len(config.controls) < _IN_THREAD_FROM_RESULTS:
        return results_of(prediction, config)
    return await asyncio.to_thread(results_of, prediction, config)


def _taken_bytes(result: Entry) -> int:
    value = result["value"]
    drawn_bytes = _RUN_LENGTH_BYTES * len(value.get("rle", ())) + _POINT_BYTES * len(value.get("points", ()))
    return _RESULT_BYTES + drawn_bytes


def _answer(asked: _Asked, entries: Sequence[Entry | ServingError]) -> Response:
    """A problem where all tasks failed alike. Else Label Studio leaves out those without a `result`, and writes what
    they have instead into its log."""
    errors = [one for one in entries if isinstance(one, ServingError)]
    _log(asked.http_request, asked.record, errors)
    if len(errors) == len(entries) and len({problem(error).status_code for error in errors}) == 1:
        first = errors[0]
        if any(error.message != first.message for error in errors):
            first = type(first)(f"task 1 of {len(errors)}: {first.message}")
        return problem(first, MEMBERS)
    shown = [
        {"error": one.message, **problem_members(one)} if isinstance(one, ServingError) else one for one in entries
    ]
    return _json({"results": shown, "model_version": version_of(asked.record)})


def _log(http_request: HttpRequest, record: ModelRecord, errors: Sequence[ServingError]) -> None:
    """Label Studio shows its user the status and none of the words, and sends them to our log."""
    for error in errors[:_LOGGED_ERRORS]:
        what = "Label Studio was refused for %s: %s"
        logger.warning(what, record.name, error.message, extra=about([origin_of(http_request)]))


def _json(members: Mapping[str, Any], status: int = HTTPStatus.OK) -> Response:
    body = orjson.dumps(members, option=orjson.OPT_SERIALIZE_NUMPY)
    return Response(body, status_code=status, media_type="application/json")
