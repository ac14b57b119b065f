"""One request with images, from its form to the number of its job."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from starlette.requests import Request as HttpRequest
from starlette.responses import Response

from deployments.byte_budget import HeldBytes
from deployments.errors import InvalidRequest, ServingError
from deployments.vectors import Neighbour
from deployments.vectors.limits import MAX_BATCH, MAX_NEIGHBOURS
from serve_app.bodies.option_values import whole_number_in
from serve_app.bodies.uploads import UploadLimits, read_body
from serve_app.faces.endpoint import Endpoint, json_answer
from serve_app.faces.face import FaceParts
from serve_app.faces.vss.answers import answer_of, kept_embeddings, kept_neighbours
from serve_app.faces.vss.embedding import embedded
from serve_app.faces.vss.jobs import Jobs, Work, kept_of
from serve_app.faces.vss.projects import KnownProject, checked_project, project_named, vectors_of
from serve_app.faces.vss.sent import Accepts, SentImages, read_sent
from serve_app.http.origins import origin_of
from serve_app.http.problems import SENTENCE, problem

MEMBERS = {"error": SENTENCE}
"""Where fastapi-vss says what is wrong."""

PREFIX = "/vss"


@dataclass(frozen=True, slots=True)
class SubmittedImages:
    """Makes a job of each request."""

    parts: FaceParts
    jobs: Jobs = field(default_factory=Jobs)

    async def embed(self, http_request: HttpRequest) -> Response:
        """200 with the number of a job that computes an embedding for each image, or a problem."""

        async def submit(http_request: HttpRequest, held: HeldBytes) -> Response:
            sent, project = await self._read(http_request, held)
            origin = origin_of(http_request)

            async def work(ends_at_s: float) -> bytes:
                found = await embedded(self.parts.models, project.record, sent.images, ends_at_s, origin)
                return kept_embeddings(_names(sent), found.values)

            return await self._started(project, work, held)

        return await Endpoint(self.parts.budget, MEMBERS, reads_query=True).answer(http_request, submit)

    async def nearest(self, http_request: HttpRequest) -> Response:
        """200 with the number of a job that finds the nearest labelled images for each image, or a problem."""

        async def submit(http_request: HttpRequest, held: HeldBytes) -> Response:
            sent, project = await self._read(http_request, held)
            most, origin = _top_n(http_request.path_params["top_n"]), origin_of(http_request)
            if project.kept is None:
                raise InvalidRequest(f"project {project.name!r} has no labelled images yet; add some first")

            async def work(ends_at_s: float) -> bytes:
                models = self.parts.models
                found = await embedded(models, project.record, sent.images, ends_at_s, origin)
                near: list[Sequence[Neighbour]] = []
                for first in range(0, len(found.values), MAX_BATCH):
                    queries = found.values[first : first + MAX_BATCH]
                    near += await vectors_of(models).search(project.name, found.source, queries, most)
                return kept_neighbours(_names(sent), near)

            return await self._started(project, work, held)

        return await Endpoint(self.parts.budget, MEMBERS, reads_query=True).answer(http_request, submit)

    async def job(self, http_request: HttpRequest) -> Response:
        """200 with what became of a job: done with its result, failed with the reason, or pending; or a problem."""
        named = http_request.path_params
        try:
            kept = await kept_of(vectors_of(self.parts.models), checked_project(named["project"]), named["job"])
        except ServingError as error:
            return problem(error, MEMBERS)
        return Response(answer_of(kept), media_type="application/json")

    async def _read(self, http_request: HttpRequest, held: HeldBytes) -> tuple[SentImages, KnownProject]:
        body = await read_body(http_request, UploadLimits.of(self.parts.settings), held)
        content_type, query = http_request.headers.get("content-type", ""), http_request.scope["query_string"]
        sent = read_sent(content_type, body, query, Accepts())
        return sent, await project_named(self.parts.models, http_request.path_params["project"])

    async def _started(self, project: KnownProject, work: Work, held: HeldBytes) -> Response:
        job = await self.jobs.start(vectors_of(self.parts.models), project.name, work, held)
        comment = f"Use {PREFIX}/predict/job/{job}/{project.name} to check status."
        return json_answer({"job_id": job, "Comment": comment})


def _names(sent: SentImages) -> list[str]:
    return [image.name for image in sent.images]


def _top_n(text: str) -> int:
    most = whole_number_in(text, "top_n")
    if most is None or not 1 <= most <= MAX_NEIGHBOURS:
        raise InvalidRequest(f"top_n must be a whole number between 1 and {MAX_NEIGHBOURS}, got {text[:50]!r}")
    return most
