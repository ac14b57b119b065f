"""The paths of the face for clients of fastapi-vss."""

from collections.abc import Awaitable, Callable
from importlib.metadata import PackageNotFoundError, version

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from deployments.errors import ServingError
from serve_app.faces.endpoint import json_answer
from serve_app.faces.face import Face, FaceParts
from serve_app.faces.vss import described
from serve_app.faces.vss.labelled import Labelled
from serve_app.faces.vss.projects import project_named, project_names, vectors_of
from serve_app.faces.vss.submitted import MEMBERS, PREFIX, SubmittedImages
from serve_app.faces.vss.waiting import Waiting
from serve_app.http.openapi_parts import Described
from serve_app.http.problems import problem

MAX_IDS = 100
"""As many ids as fastapi-vss lists."""

Answer = Callable[[Request], Awaitable[Response]]


def vss_face(parts: FaceParts) -> Face:
    """Embeddings, the nearest of labelled images, and these themselves."""
    router = APIRouter(prefix=PREFIX, tags=["fastapi-vss"])
    submitted, labelled, listed = SubmittedImages(parts), Labelled(parts), _Listed(parts)

    def add(method: str, path: str, answer: Answer, said: tuple[str, Described]) -> None:
        summary, responses = said

        async def respond(request: Request) -> Response:
            return await answer(request)

        router.add_api_route(
            path,
            respond,
            methods=[method],
            response_class=Response,
            summary=summary,
            responses=responses,
            openapi_extra=described.request(method, path),
        )

    for slash in ("", "/"):
        add("GET", slash, _welcome, ("Which server this is", described.WELCOME))
        add("POST", f"/embed/{{project}}{slash}", submitted.embed, ("Embeddings, as a job", described.SUBMITTED))
        said = ("The nearest labelled images, as a job", described.SUBMITTED)
        add("POST", f"/knn/{{top_n}}/{{project}}{slash}", submitted.nearest, said)
    add("GET", "/health", _health, ("Whether the door answers", described.HEALTH))
    add("GET", "/projects", listed.projects, ("All projects", described.PROJECTS))
    add("GET", "/ids/{project}", listed.ids, ("Labelled images of a project", described.IDS))
    # aipipeline is given the address of /knn, and asks for its jobs below it.
    for base in ("", "/knn"):
        add("GET", f"{base}/predict/job/{{job}}/{{project}}", submitted.job, ("What became of a job", described.JOB))
    add("POST", described.VECTORS, labelled.add, ("Adds labelled images to a project", described.ADDED))
    said = ("Removes labelled images, or a project", described.REMOVED)
    add("DELETE", described.VECTORS, labelled.remove, said)
    router.add_api_websocket_route("/ws/predict/job/{job}/{project}", Waiting(parts.models).answer)
    return Face(router, MEMBERS, PREFIX, schemas=described.SCHEMAS, finish=submitted.jobs.finish)


async def _welcome(request: Request) -> Response:
    del request
    return json_answer({"message": f"fathomnet-serve {_version()}, for clients of Fast-VSS"})


async def _health(request: Request) -> Response:
    del request
    return json_answer({"status": "ok", "version": _version()})


class _Listed:
    """Lists of what there is."""

    def __init__(self, parts: FaceParts) -> None:
        self._models = parts.models

    async def projects(self, request: Request) -> Response:
        del request
        try:
            return json_answer({"projects": await project_names(self._models)})
        except ServingError as error:
            return problem(error, MEMBERS)

    async def ids(self, request: Request) -> Response:
        try:
            project = await project_named(self._models, request.path_params["project"])
            names = await vectors_of(self._models).names(project.name, MAX_IDS)
        except ServingError as error:
            return problem(error, MEMBERS)
        return json_answer({"ids": [name for _, name in names], "classes": [label for label, _ in names]})


def _version() -> str:
    try:
        return version("fathomnet-serve")
    except PackageNotFoundError:  # run from a folder of sources
        return "0"
