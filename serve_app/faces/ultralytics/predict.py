"""One request to the Ultralytics face, from its form to its answer."""

import asyncio
import time
from dataclasses import dataclass, field

from starlette.requests import Request as HttpRequest
from starlette.responses import Response

from deployments.byte_budget import HeldBytes
from deployments.catalogue import ModelRecord
from deployments.prediction import Prediction
from deployments.request import Request
from deployments.useful_options import refuse_useless
from serve_app.bodies.forms import Form, image_of
from serve_app.faces.endpoint import json_answer
from serve_app.faces.face import FaceParts
from serve_app.faces.form_endpoint import FormEndpoint
from serve_app.faces.ultralytics.answers import image_entry, is_slow, task_of
from serve_app.faces.ultralytics.fields import ACCEPTED, UltralyticsOptions, wanted_in
from serve_app.http.problems import SENTENCE
from serve_app.http.writing import written_in_thread

MEMBERS = {"error": SENTENCE}
"""Every error of the Platform's API has this member."""


@dataclass(frozen=True, slots=True)
class UltralyticsPredict:
    """Answers by asking the model that the path names."""

    parts: FaceParts
    began_at_s: float = field(default_factory=time.monotonic)

    async def answer(self, http_request: HttpRequest) -> Response:
        """200 with what was found, or a problem that says what is wrong."""

        async def answer_form(form: Form, _: HeldBytes) -> Response:
            return await self._answer(form, http_request.path_params["model"])

        endpoint = FormEndpoint(self.parts.settings, self.parts.budget, ACCEPTED, MEMBERS)
        return await endpoint.answer(http_request, answer_form)

    async def _answer(self, form: Form, model: str) -> Response:
        wanted = wanted_in(form.fields)
        image = image_of(form)
        record = self.parts.record_of(model)
        refuse_useless(record, wanted.given)
        deadline_s = self.parts.settings.deadline_s
        clock = asyncio.get_running_loop().time
        began_at_s = clock()
        request = Request(image, wanted.options, deadline_s, None, *form.origin)
        [found] = await self.parts.models.predictions(record, [request])

        def write() -> Response:
            return self._written(found, wanted, record, clock() - began_at_s)

        if not is_slow(found):
            return write()
        return await written_in_thread(write, began_at_s + deadline_s - clock())

    def _written(self, found: Prediction, wanted: UltralyticsOptions, record: ModelRecord, took_s: float) -> Response:
        images = [image_entry(found, wanted)]
        metadata = {
            "imageCount": 1,
            "functionTimeAlive": time.monotonic() - self.began_at_s,
            "functionTimeCall": took_s,
            "model": found.model,
            "task": task_of(found),
            "version": {"model": found.revision},
        }
        # Of the model that was asked: where a candidate answered, its classes may be others.
        if record.definition.labels is not None and found.model == record.name:
            metadata["classNames"] = record.definition.labels
        return json_answer({"images": images, "metadata": metadata}, found)
