"""`yolo predict model=http://...` and SAHI, by the recipe and over gRPC, find what our own route finds."""

import ast
import re
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

ROOT = Path(__file__).parents[3]
RECIPE = (
    (ROOT / "docs/connect.md").read_text(encoding="utf-8").split("\n## Ultralytics and SAHI\n")[1].split("\n## ")[0]
)
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


def recipe(language: str, door: str) -> str:
    [text] = re.findall(rf"```{language}\n(.*?)```", RECIPE, re.DOTALL)
    text = text.replace("http://localhost:8082", door).replace("deployments/", f"{ROOT}/deployments/")
    assert isinstance(text, str)
    return text


def test_the_boxes_are_those_of_our_own_route(door: str, grpc_address: str, tmp_path: Path) -> None:
    command = recipe("sh", door)
    over_grpc = command.replace(door, f"grpc://{grpc_address}")
    assert over_grpc != command
    script = Path(__file__).with_name("use.py")
    found = run_in("ultralytics", script, command, over_grpc, recipe("python", door), str(tmp_path))
    answer = httpx.post(f"{door}/v1/models/benthic-demo/predict", content=FRAME.read_bytes(), timeout=30)
    [image] = answer.raise_for_status().json()["images"]
    width, height = image["width"], image["height"]
    ours = [
        [one["class_id"], one["score"], box["x1"] / width, box["y1"] / height, box["x2"] / width, box["y2"] / height]
        for one in image["detections"]
        for box in [one["box"]]
    ]
    assert len(ours) == 12
    for tool in ("yolo", "sahi", "yolo_grpc", "sahi_grpc"):
        # Both write best first; a tenth of a pixel of 960.
        assert found[tool] == [pytest.approx(row, abs=1e-4) for row in ours], tool
    sliced = ast.literal_eval(found["program"].splitlines()[-1])
    assert {name for name, _ in sliced} == {one["label"] for one in image["detections"]}
