"""One request to the roboflow face, from its body to its answer."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from starlette.requests import Request as HttpRequest
from starlette.responses import Response

from deployments.byte_budget import HeldBytes
from deployments.prediction import Prediction
from deployments.request import Image, Request
from deployments.useful_options import refuse_useless
from serve_app.bodies.uploads import UploadLimits, read_body
from serve_app.faces.endpoint import json_answer
from serve_app.faces.face import FaceParts
from serve_app.faces.roboflow.answers import answer_of, check_task, is_slow
from serve_app.faces.roboflow.registry import model_of, registry
from serve_app.faces.roboflow.sent import RoboflowRequest, read_model_id, read_v0, read_v1
from serve_app.http.origins import origin_of
from serve_app.http.writing import written_in_thread


@dataclass(frozen=True, slots=True)
class RoboflowInference:
    """The routes' work. Its methods raise ServingError and HTTPException."""

    parts: FaceParts

    async def of_path(self, http_request: HttpRequest, held: HeldBytes) -> Response:
        """v0: the path names the model, and the body is one image."""
        body = await self._body(http_request, held)
        content_type = http_request.headers.get("content-type", "")
        sent = await read_v0(content_type, body, http_request.scope["query_string"], held)
        return await self._answer(http_request, sent, http_request.path_params["model"], None)

    async def of_task(self, http_request: HttpRequest, held: HeldBytes, task: str) -> Response:
        """v1: the body names the model."""
        body = await self._body(http_request, held)
        sent = await read_v1(body, http_request.scope["query_string"], held)
        return await self._answer(http_request, sent, sent.model_id, task)

    async def add(self, http_request: HttpRequest, held: HeldBytes) -> Response:
        """What the SDK asks before it uses a model that the registry does not show under the same id. Nothing is
        loaded: models are there, or come when they are asked."""
        catalogue = self.parts.models.catalogue
        model_id = await self._model_id(http_request, held)
        record = model_of(model_id, catalogue)
        return json_answer(registry(catalogue.records(), (model_id, record)))

    async def remove(self, http_request: HttpRequest, held: HeldBytes) -> Response:
        """Takes no model away, as others use it too: the answer still names it."""
        model_of(await self._model_id(http_request, held), self.parts.models.catalogue)
        return json_answer(registry(self.parts.models.catalogue.records()))

    async def _model_id(self, http_request: HttpRequest, held: HeldBytes) -> str:
        body = await self._body(http_request, held)
        return await read_model_id(body, http_request.scope["query_string"], held)

    async def _body(self, http_request: HttpRequest, held: HeldBytes) -> bytes:
        return await read_body(http_request, UploadLimits.of(self.parts.settings), held)

    async def _answer(
        self, http_request: HttpRequest, sent: RoboflowRequest, model_id: str, task: str | None
    ) -> Response:
        models, deadline_s = self.parts.models, self.parts.settings.deadline_s
        record = model_of(model_id, models.catalogue)
        refuse_useless(record, sent.wanted.given)
        clock = asyncio.get_running_loop().time
        ends_at_s = clock() + deadline_s
        origin = origin_of(http_request)
        requests = [
            Request(Image.from_encoded(file), sent.wanted.options, deadline_s, None, *origin) for file in sent.images
        ]
        found = await models.predictions(record, requests)
        for prediction in found:
            check_task(prediction, task)

        def write() -> Response:
            return _written(found, sent, origin.request_id or str(uuid4()))

        if not any(map(is_slow, found)):
            return write()
        return await written_in_thread(write, ends_at_s - clock())


def _written(found: Sequence[Prediction], sent: RoboflowRequest, inference_id: str) -> Response:
    answers: list[Any] = [answer_of(one, inference_id, sent.wanted.as_rle) for one in found]
    return json_answer(answers) if sent.is_list else json_answer(answers[0], found[0])
