"""The path of the `/v1` face."""

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from serve_app.faces.face import DirectRoute, Face, FaceParts
from serve_app.faces.v1.described import SCHEMAS, operation, responses
from serve_app.faces.v1.predictions import Predictions

PATH = "/v1/models/{model}/predict"


def v1_face(parts: FaceParts) -> Face:
    """The predict endpoint for programs that are written today."""
    predictions = Predictions(parts)
    router = APIRouter(tags=["predict"])

    async def predict(request: Request) -> Response:
        return await predictions.answer(request)

    router.add_api_route(
        PATH,
        predict,
        methods=["POST"],
        response_class=Response,
        route_class_override=DirectRoute,
        summary="What a model finds in one or several images",
        responses=responses(),
        openapi_extra=operation(),
    )
    return Face(router, schemas=SCHEMAS)
