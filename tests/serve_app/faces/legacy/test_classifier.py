"""A classifier through the HTTP door: the legacy row of scores, and its names where models are listed."""

import io
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import PIL.Image
import pytest

from deployments.definition import ModelDefinition
from deployments.runtimes import Resources
from deployments.serving.replica import Replica
from tests.deployments.families.small_generic_models import CLASSIFIER_LABELS, SHARPNESS, write_onnx_classifier
from tests.serve_app.conftest import FakeSystem, record
from tests.support.no_meter import NoMeter


@pytest.fixture
def args(tmp_path: Path) -> dict[str, Any]:
    return write_onnx_classifier(tmp_path / "mixoe.onnx") | {
        "labels": CLASSIFIER_LABELS,
        "queues": ["image_queue_mixoe"],
    }


@pytest.fixture
def classifier(system: FakeSystem, args: dict[str, Any]) -> FakeSystem:
    """The system with a replica of a real file; the fixture `client` closes it."""
    system.records_now.append(record("mixoe", **args))
    system.replica = Replica("mixoe", ModelDefinition(**args), Resources(), NoMeter())
    return system


def orange() -> bytes:
    buffer = io.BytesIO()
    PIL.Image.new("RGB", (90, 50), (255, 51, 0)).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.mark.parametrize("threshold", [None, "0.9"])
async def test_the_answer_is_one_row_of_all_scores(
    client: httpx.AsyncClient, classifier: FakeSystem, threshold: str | None
) -> None:
    fields = {"model_type": "image_queue_mixoe"} | ({} if threshold is None else {"score_threshold": threshold})
    answer = await client.post("/predictor/", files={"file": ("x.png", orange())}, data=fields)
    assert answer.status_code == 200, answer.text
    body = answer.json()
    powers = np.exp(SHARPNESS * np.array([1.0, 0.2, 0.0]))
    [row] = body["predictions"]
    assert list(row) == ["scores"]
    np.testing.assert_allclose(row["scores"], powers / powers.sum(), atol=1e-5)
    assert (body["success"], body["model"]) == (True, "mixoe")
    assert classifier.asked[0][0] == "mixoe"


async def test_its_names_stand_where_models_are_listed(client: httpx.AsyncClient, classifier: FakeSystem) -> None:
    assert "mixoe" in [one.name for one in classifier.records()]
    listed = (await client.get("/v1/models/mixoe")).json()
    assert listed["labels"] == list(CLASSIFIER_LABELS)
    assert listed["family"] == "onnx"
