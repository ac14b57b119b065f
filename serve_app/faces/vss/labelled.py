"""Adding labelled images to a project, and removing them: for a key with the scope admin."""

import asyncio
from collections import Counter
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import PurePosixPath

from starlette.exceptions import HTTPException
from starlette.requests import Request as HttpRequest
from starlette.responses import Response

from deployments.byte_budget import HeldBytes
from deployments.errors import InvalidRequest, ModelNotFound
from deployments.vectors import LabelledVectors
from deployments.vectors.limits import MAX_BATCH, checked_name
from serve_app.bodies.forms import Accepted, Form, add_query
from serve_app.bodies.uploads import UploadLimits, read_body
from serve_app.faces.endpoint import Endpoint, json_answer
from serve_app.faces.face import FaceParts
from serve_app.faces.vss.embedding import embedded
from serve_app.faces.vss.projects import checked_project, project_to_add, vectors_of
from serve_app.faces.vss.sent import Accepts, SentImages, read_sent
from serve_app.faces.vss.submitted import MEMBERS
from serve_app.http.origins import origin_of

LABEL, MODEL = "label", "model"

MAX_LABELLED = MAX_BATCH
"""Images of one request, which is answered when all of them are kept."""


@dataclass(frozen=True, slots=True)
class Labelled:
    """What the projects are searched for."""

    parts: FaceParts

    async def add(self, http_request: HttpRequest) -> Response:
        """200 with the project as it is now, or a problem."""
        return await Endpoint(self.parts.budget, MEMBERS, reads_query=True).answer(http_request, self._add)

    async def remove(self, http_request: HttpRequest) -> Response:
        """200 with how many were removed, or a problem."""
        return await Endpoint(self.parts.budget, MEMBERS, reads_query=True).answer(http_request, self._remove)

    async def _add(self, http_request: HttpRequest, held: HeldBytes) -> Response:
        self._refuse_without_key(http_request)
        settings, models = self.parts.settings, self.parts.models
        body = await read_body(http_request, UploadLimits.of(settings), held)
        ends_at_s = asyncio.get_running_loop().time() + settings.deadline_s
        content_type, query = http_request.headers.get("content-type", ""), http_request.scope["query_string"]
        sent = read_sent(content_type, body, query, Accepts(frozenset({LABEL, MODEL}), MAX_LABELLED))
        names = _names(sent)
        name = http_request.path_params["project"]
        project = await project_to_add(models, name, sent.fields.get(MODEL, ""))
        found = await embedded(models, project.record, sent.images, ends_at_s, origin_of(http_request))
        kept = await vectors_of(models).add(project.name, found.source, LabelledVectors(names, found.values))
        source = kept.source
        told = {"model": source.model, "revision": source.revision, "dimension": source.dimension}
        return json_answer({"project": kept.name, **told, "added": len(names), "count": kept.count})

    async def _remove(self, http_request: HttpRequest, held: HeldBytes) -> Response:
        del held
        self._refuse_without_key(http_request)
        _refuse_body(http_request)
        form = Form()
        add_query(form, http_request.scope["query_string"], Accepted(frozenset({LABEL})), {})
        name = checked_project(http_request.path_params["project"])
        label = checked_name(form.fields[LABEL], LABEL) if LABEL in form.fields else ""
        removed = await vectors_of(self.parts.models).remove(name, label)
        if not removed:
            what = f"images with the label {label!r} in project {name!r}" if label else f"project {name!r}"
            raise ModelNotFound(f"there are no {what}" if label else f"there is no {what}")
        return json_answer({"project": name, "removed": removed})

    def _refuse_without_key(self, http_request: HttpRequest) -> None:
        if not self.parts.key_of(http_request):
            raise HTTPException(
                HTTPStatus.FORBIDDEN,
                "labelled images are added and removed only where the server asks for API keys "
                "(FATHOM_API_KEYS_FILE), by a key with the scope admin; this one asks for none",
            )


def _refuse_body(http_request: HttpRequest) -> None:
    """A label that stands there would have no effect, and the whole project would be gone. Raises InvalidRequest."""
    headers = http_request.headers
    if headers.get("content-length", "0") != "0" or "transfer-encoding" in headers:
        raise InvalidRequest("the body of a removal is not read; the label goes into the address: ?label=NAME")


def _names(sent: SentImages) -> list[tuple[str, str]]:
    """The label with the id of each image, which is its file's name without folders and ending, as with MBARI's
    aidata. Raises InvalidRequest."""
    if LABEL not in sent.fields:
        raise InvalidRequest("the form has no field 'label': what is to be seen in the images")
    label = checked_name(sent.fields[LABEL], LABEL)
    ids = [
        checked_name(PurePosixPath(image.name.replace("\\", "/")).stem, "the name of an image")
        for image in sent.images
    ]
    twice = [name for name, times in Counter(ids).items() if times > 1]
    if twice:
        raise InvalidRequest(f"two images have the name {twice[0]!r}, and only one of them could be kept")
    return [(label, name) for name in ids]
