"""The paths of the legacy face. Each is there with and without a slash at its end: old clients use both, and cannot
follow a redirect."""

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from deployments.byte_budget import ByteBudget
from deployments.external import Task
from serve_app.bodies.forms import Accepted
from serve_app.faces.face import DirectRoute, Face, ModelAccess
from serve_app.faces.form_endpoint import AnswerForm
from serve_app.faces.legacy.described import SCHEMAS, responses_of
from serve_app.faces.legacy.form_options import FIELDS, FORM, PROMPTS, described_form
from serve_app.faces.legacy.predictor import Predictor
from serve_app.faces.legacy.segmentation import Segmentation
from serve_app.http.problems import LEGACY_MEMBERS
from serve_app.settings import DoorSettings

MAX_PROMPTS_BYTES = 2**20
"""Of the field `data`, which may hold a point for each of many animals."""


def legacy_face(models: ModelAccess, settings: DoorSettings, budget: ByteBudget) -> Face:
    """The predict endpoint and the segmenting routes."""
    predictor = Predictor(models, settings, budget)
    router = APIRouter(tags=["legacy"])

    async def answer_upload(request: Request) -> Response:
        return await predictor.answer(request)

    for path in ("/predictor", "/predictor/"):
        router.add_api_route(
            path,
            answer_upload,
            methods=["POST"],
            response_class=Response,
            summary="What a model finds in one image",
            responses=responses_of(path),
            openapi_extra=described_form(),
            route_class_override=DirectRoute,
        )
    for path, answer_form in _segmenting(predictor).items():
        _add(router, path, answer_form, predictor)
    return Face(router, LEGACY_MEMBERS, schemas=SCHEMAS)


def _segmenting(predictor: Predictor) -> dict[str, AnswerForm]:
    segmentation = Segmentation(predictor)
    return {
        "/sam": lambda form, _: segmentation.best(form, Task.SEGMENT),
        "/sam_v2": lambda form, _: segmentation.best(form, Task.SEGMENT_FILE),
        "/sam_multi": lambda form, _: segmentation.all(form, Task.SEGMENT),
        "/sam_multi_v2": lambda form, _: segmentation.all(form, Task.SEGMENT_FILE),
        "/sam-embed": lambda form, _: segmentation.embedding(form),
        "/filet_predictor": segmentation.filet,
    }


def _add(router: APIRouter, path: str, answer_form: AnswerForm, predictor: Predictor) -> None:
    field = {"/sam-embed": None, "/filet_predictor": "model_type"}.get(path, "data")
    # The prompts may come along everywhere, as with the legacy server: many clients send all routes the same form.
    options = FORM.fields if field == "model_type" else frozenset[str]()
    accepted = Accepted(options | {"data"}, MAX_PROMPTS_BYTES)

    async def answer(request: Request) -> Response:
        return await predictor.respond(request, answer_form, accepted)

    described = {name: FIELDS.get(name, PROMPTS) for name in sorted(accepted.fields)}
    shown = described_form(described, required=("data",) if field == "data" else ())
    for each in (path, f"{path}/"):
        router.add_api_route(
            each,
            answer,
            methods=["POST"],
            response_class=Response,
            summary="Segmentation by an external worker",
            responses=responses_of(path),
            openapi_extra=shown,
        )
