"""`yolo predict model=http://...` and SAHI find in a frame what our own route finds in it."""

from pathlib import Path

import httpx
import pytest

from deployments.definition import ModelDefinition
from deployments.families.demo import SAMPLES_FOLDER
from deployments.runtimes import Resources
from deployments.serving.replica import Replica
from tests.serve_app.conftest import FakeSystem, record
from tests.support.no_meter import NoMeter
from tests.tools.environments import run_in

FRAME = SAMPLES_FOLDER / "seafloor-1.png"
LABELS = ("Sea star", "Fish", "Sea cucumber", "Crab", "Anemone", "Sea pen", "Urchin")

pytestmark = [pytest.mark.tools, pytest.mark.timeout(900)]


@pytest.fixture
def system() -> FakeSystem:
    """The demo model itself, as its boxes depend on what it sees."""
    definition = ModelDefinition(family="benthic-demo", labels=LABELS)
    replica = Replica("benthic-demo", definition, Resources(), NoMeter())
    return FakeSystem([record("benthic-demo", family="benthic-demo", labels=LABELS)], replica=replica)


@pytest.fixture
def max_upload_bytes() -> int:
    return 2**24


def test_the_boxes_are_those_of_our_own_route(door: str, tmp_path: Path) -> None:
    found = run_in(
        "ultralytics", Path(__file__).with_name("use.py"), f"{door}/benthic-demo-raw", str(FRAME), str(tmp_path)
    )
    answer = httpx.post(f"{door}/v1/models/benthic-demo/predict", content=FRAME.read_bytes(), timeout=30)
    [image] = answer.raise_for_status().json()["images"]
    width, height = image["width"], image["height"]
    ours = [
        [one["class_id"], one["score"], box["x1"] / width, box["y1"] / height, box["x2"] / width, box["y2"] / height]
        for one in image["detections"]
        for box in [one["box"]]
    ]
    assert len(ours) == 12
    for tool in ("yolo", "sahi"):
        # Both write best first; a tenth of a pixel of 960.
        assert found[tool] == [pytest.approx(row, abs=1e-4) for row in ours], tool
