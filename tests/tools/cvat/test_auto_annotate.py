"""`cvat-cli task auto-annotate` with our function, against our door and a stub of CVAT."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deployments.prediction import ClassScores, Detections, Masks, Prediction
from tests.client.fake_server import open_door
from tests.serve_app.conftest import FakeSystem, record
from tests.serve_app.uploads import picture
from tests.tools.cvat.stub_cvat import TASK, TOKEN, StubCvat
from tests.tools.environments import run_in

pytestmark = [pytest.mark.tools, pytest.mark.timeout(720)]

ROOT = Path(__file__).parents[3]
LABELS = ("fixed answer A", "fixed answer B")
FUNCTION = ["--function-module", "fathom_client.tools.cvat"]


@pytest.fixture
def cvat() -> StubCvat:
    return StubCvat(dict.fromkeys(LABELS, "any"), {"1.png": picture(), "2.png": picture((200, 100))})


@pytest.fixture
def address(cvat: StubCvat) -> Iterator[str]:
    with open_door() as stub:
        stub.app = cvat.app()
        yield stub.address


@pytest.fixture
def system() -> FakeSystem:
    return FakeSystem([record("demo", labels=list(LABELS)), record("without-labels")])


def cvat_cli(address: str, door: str, home: Path, *arguments: str) -> dict[str, Any]:
    host, _, port = address.rpartition(":")
    environ = {
        "CVAT_ACCESS_TOKEN": TOKEN,
        "FATHOM_URL": door,
        "PYTHONPATH": str(ROOT / "client"),
        "XDG_CACHE_HOME": str(home),
        "XDG_CONFIG_HOME": str(home),
    }
    script = Path(__file__).with_name("annotate.py")
    command = ["--server-host", host, "--server-port", port, *arguments]
    ended: dict[str, Any] = run_in("cvat", script, *command, **environ)
    return ended


def annotate(address: str, door: str, home: Path, *arguments: str) -> dict[str, Any]:
    return cvat_cli(address, door, home, "task", "auto-annotate", str(TASK), *FUNCTION, *arguments)


def test_a_task_gets_the_boxes_of_the_model(door: str, address: str, cvat: StubCvat, tmp_path: Path) -> None:
    ended = annotate(address, door, tmp_path, "-p", "model=str:demo")
    assert ended["status"] == 0, ended["err"]
    [(how, body)] = cvat.written
    assert how == "PATCH create"
    found = [(one["frame"], one["label_id"], one["type"], one["source"]) for one in body["shapes"]]
    assert found == [(frame, label, "rectangle", "auto") for frame in (0, 1) for label in (100, 101)]
    boxes = [one["points"] for one in body["shapes"]]
    assert boxes == [
        pytest.approx(box) for box in ([10, 10, 50, 30], [50, 25, 90, 45], [20, 20, 100, 60], [100, 50, 180, 90])
    ]
    assert cvat.asked_without_token == []


def test_a_threshold_holds_in_the_place_of_the_models(
    door: str, address: str, cvat: StubCvat, system: FakeSystem, tmp_path: Path
) -> None:
    ended = annotate(address, door, tmp_path, "-p", "model=str:demo", "--conf-threshold", "0.7", "--clear-existing")
    assert ended["status"] == 0, ended["err"]
    [(how, body)] = cvat.written
    assert how == "PUT"
    assert [(one["frame"], one["label_id"]) for one in body["shapes"]] == [(0, 100), (1, 100)]
    # What the model is shows in its first answer; only a detector takes the threshold.
    assert [request.options.score_threshold for _, request in system.asked] == [None, 0.7, 0.7]


def one_animal(**more: Any) -> Prediction:
    box, score = np.array([[20, 10, 60, 30]], np.float32), np.array([0.9], np.float32)
    return Prediction(Detections(box, score, np.zeros(1, np.int32), LABELS[:1], **more), (50, 100), "demo", "1")


def with_mask() -> Prediction:
    grid = np.zeros((25, 50), bool)
    grid[5:15, 10:30] = True
    return one_animal(masks=Masks.of(1, lambda index: grid, grid.shape))


ROTATED = one_animal(corners=np.array([[[40, 0], [60, 20], [40, 40], [20, 20]]], np.float32))
TAG = Prediction(ClassScores(np.array([0.2, 0.8], np.float32), LABELS), (50, 100), "demo", "1")
SQUARE = [0, 20 * 40, 20, 10, 59, 29]
"""As CVAT stores it: outside, inside, and left, top, right, bottom."""


@pytest.mark.parametrize(
    ("answer", "arguments", "kind", "points"),
    [
        (with_mask(), [], "mask", SQUARE),
        (with_mask(), ["--conv-mask-to-poly"], "polygon", None),
        (with_mask(), ["-p", "shapes=str:rectangle"], "rectangle", [20, 10, 60, 30]),
        (ROTATED, [], "rectangle", [40 - 200**0.5, 20 - 200**0.5, 40 + 200**0.5, 20 + 200**0.5]),
    ],
)
def test_each_kind_of_shape_is_written(
    door: str, address: str, cvat: StubCvat, system: FakeSystem, tmp_path: Path,
    answer: Prediction, arguments: list[str], kind: str, points: list[float] | None,
) -> None:  # fmt: skip
    cvat.frames.pop("2.png")
    system.fails_with = answer
    ended = annotate(address, door, tmp_path, "-p", "model=str:demo", *arguments)
    assert ended["status"] == 0, ended["err"]
    [(_, body)] = cvat.written
    [shape] = body["shapes"]
    assert shape["type"] == kind
    assert points is None or shape["points"] == pytest.approx(points, abs=1e-3)
    assert shape.get("rotation", 0) == pytest.approx(45 if answer is ROTATED else 0, abs=1e-3)


def test_a_classifier_tags_each_image(
    door: str, address: str, cvat: StubCvat, system: FakeSystem, tmp_path: Path
) -> None:
    system.fails_with = TAG
    ended = annotate(address, door, tmp_path, "-p", "model=str:demo", "--conf-threshold", "0.5")
    assert ended["status"] == 0, ended["err"]
    [(_, body)] = cvat.written
    assert body["shapes"] == []
    assert [(tag["frame"], tag["label_id"]) for tag in body["tags"]] == [(0, 101), (1, 101)]


def test_a_function_for_agents_has_the_models_labels(door: str, address: str, cvat: StubCvat, tmp_path: Path) -> None:
    parameters = ["-p", "model=str:demo", "-p", "score_threshold=float:0.3"]
    ended = cvat_cli(address, door, tmp_path, "function", "create-native", "Demo", *FUNCTION, *parameters)
    assert (ended["status"], ended["out"].strip()) == (0, "1"), ended["err"]
    [made] = cvat.functions
    assert (made["kind"], made["name"]) == ("detector", "Demo")
    assert [label["name"] for label in made["labels_v2"]] == list(LABELS)


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        (["model=str:without-labels"], "does not know the labels of without-labels yet"),
        (["model=str:no-such-model"], "no model and no queue is called 'no-such-model'"),
        (["model=str:demo", "shapes=str:circle"], "shapes must be best or rectangle, got 'circle'"),
        (["model=str:demo", "iou_treshold=float:0.5"], "unknown parameter 'iou_treshold'"),
        (["model=str:demo", "url=str:http://127.0.0.1:9"], "127.0.0.1:9"),
    ],
)
def test_what_cannot_be_done_is_said_and_nothing_is_written(
    door: str, address: str, cvat: StubCvat, tmp_path: Path, parameters: list[str], words: str
) -> None:
    ended = annotate(address, door, tmp_path, *(part for one in parameters for part in ("-p", one)))
    assert ended["status"] != 0
    assert words in ended["err"]
    assert cvat.written == []
