"""Which requests take the short way past the framework, and with which parameters."""

import pytest
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from serve_app.direct_routes import DirectRoutes
from serve_app.faces.face import DirectRoute, Face


async def endpoint(request: Request) -> Response:
    return Response(request.url.path)


@pytest.fixture
def routes() -> DirectRoutes:
    router = APIRouter()
    for path in ("/predictor", "/predictor/", "/v1/models/{model}/predict"):
        router.add_api_route(path, endpoint, methods=["POST"], route_class_override=DirectRoute)
    router.add_api_route("/slow", endpoint, methods=["POST"])
    return DirectRoutes([Face(router)])


@pytest.mark.parametrize(
    ("path", "label", "parameters"),
    [
        ("/predictor", "/predictor/", {}),
        ("/predictor/", "/predictor/", {}),
        ("/v1/models/benthic-demo/predict", "/v1/models/{model}/predict", {"model": "benthic-demo"}),
        ("/v1/models/predict/predict", "/v1/models/{model}/predict", {"model": "predict"}),
    ],
)
def test_a_direct_route_is_found(routes: DirectRoutes, path: str, label: str, parameters: dict[str, str]) -> None:
    found = routes.find(path)
    assert found is not None
    assert (found[0].label, found[1]) == (label, parameters)


@pytest.mark.parametrize(
    "path",
    ["/slow", "/v1/models/predict", "/v1/models//predict", "/v1/models/a/b/predict", "/v1/models/a/predict/", ""],
)
def test_all_others_go_to_the_framework(routes: DirectRoutes, path: str) -> None:
    assert routes.find(path) is None
