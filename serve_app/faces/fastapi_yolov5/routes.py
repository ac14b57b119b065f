"""The paths of the fastapi-yolov5 face."""

from collections.abc import Awaitable, Callable

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from serve_app.faces.face import DirectRoute, Face, FaceParts
from serve_app.faces.fastapi_yolov5 import described
from serve_app.faces.fastapi_yolov5.predict import MEMBERS, YoloPredict
from serve_app.http.openapi_parts import Described

PREFIX = "/fastapi-yolov5"

OF_MODEL = "/{model}"

Answer = Callable[[Request], Awaitable[Response]]


def fastapi_yolov5_face(parts: FaceParts) -> Face:
    """Predictions of the default model and of each model, as rows and as a picture."""
    router = APIRouter(prefix=PREFIX, tags=["fastapi-yolov5"])
    predict = YoloPredict(parts)

    def add(path: str, answer: Answer, summary: str, responses: Described) -> None:
        async def respond(request: Request) -> Response:
            return await answer(request)

        router.add_api_route(
            path,
            respond,
            methods=["POST"],
            response_class=Response,
            summary=summary,
            responses=responses,
            openapi_extra=described.upload(path),
            route_class_override=DirectRoute,
        )

    for model, whose in (("", "the default model"), (OF_MODEL, "a model")):
        # Without the slash, POST to the address of a model would be one to each other address here as well.
        for path in (f"{model}/", f"{model}/predict", f"{model}/predict/"):
            add(path, predict.rows, f"What {whose} finds in one image", described.ROWS)
        for path in (f"{model}/image", f"{model}/image/"):
            add(path, predict.picture, f"The image, with what {whose} finds in it", described.PICTURE)
        router.add_api_route(
            f"{model}/health",
            predict.health,
            response_class=Response,
            summary=f"Whether {whose} answers",
            responses=described.HEALTH,
            openapi_extra={"parameters": described.parameters(model)},
        )
    return Face(router, MEMBERS, PREFIX, schemas=described.SCHEMAS)
