"""The faces whose clients name no model, where the server has no default one."""

import httpx
import pytest

from serve_app.settings import DoorSettings
from tests.serve_app.faces.forms import FILE


@pytest.fixture
def settings() -> DoorSettings:
    return DoorSettings(default_model=None, deadline_s=5)


async def test_a_request_without_a_model_is_told_so(client: httpx.AsyncClient) -> None:
    answer = await client.post("/pythia/predict", files=FILE)
    assert (answer.status_code, answer.json()["detail"]) == (
        422, "no model is named, and no default model is configured",
    )  # fmt: skip
    assert (await client.get("/pythia/q/health")).status_code == 503
