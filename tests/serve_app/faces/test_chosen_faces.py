"""Only the faces that the settings of the door name are there."""

import httpx
import pytest

from serve_app.known_faces import KNOWN_FACES
from serve_app.settings import DoorSettings

HEALTH = {
    "pythia": "/pythia/q/health",
    "fastapi_yolov5": "/fastapi-yolov5/health",
    "roboflow": "/roboflow/info",
    "vss": "/vss/health",
}


@pytest.fixture
def settings(request: pytest.FixtureRequest) -> DoorSettings:
    return DoorSettings(default_model="benthic-demo", faces=request.param)


def test_what_needs_others_is_off_until_it_is_named() -> None:
    assert set(KNOWN_FACES) - set(DoorSettings().faces) == {"label_studio", "vss"}


@pytest.mark.parametrize("settings", [(), ("pythia",), ("fastapi_yolov5", "roboflow"), ("vss",)], indirect=True)
async def test_a_face_that_is_not_named_is_not_there(client: httpx.AsyncClient, settings: DoorSettings) -> None:
    documented = (await client.get("/openapi.json")).json()["paths"]
    for face, path in HEALTH.items():
        is_chosen = face in settings.faces
        assert (await client.get(path)).status_code == (200 if is_chosen else 404), path
        assert (path in documented) is is_chosen
    assert (await client.get("/health/live")).status_code == 200
