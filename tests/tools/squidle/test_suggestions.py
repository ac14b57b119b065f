"""`fathom squidle` with the real sqapi, against our door and a stub of SQUIDLE+."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deployments.prediction import ClassScores, Detections, Embedding, Masks, Prediction
from tests.client.fake_server import open_door
from tests.serve_app.conftest import FakeSystem
from tests.serve_app.uploads import picture
from tests.tools.environments import run_in
from tests.tools.squidle.stub_squidle import KEY, SET, USER, StubSquidle

pytestmark = [pytest.mark.tools, pytest.mark.timeout(720)]

ROOT = Path(__file__).parents[3]
MAP = {
    "fixed answer A": [{"name": "name", "op": "eq", "val": "Seastars"}],
    "fixed answer B": [{"name": "name", "op": "eq", "val": "Fishes"}],
}
ON_A, ON_B, ON_NOTHING, WHOLE = (0.2, 0.4), (0.7, 0.7), (0.95, 0.05), (None, None)
STAR, FISH = 501, 502

Run = Callable[..., dict[str, Any]]


@pytest.fixture
def squidle() -> StubSquidle:
    return StubSquidle({1: picture(), 2: picture()}, [ON_A, ON_B, ON_NOTHING, WHOLE])


@pytest.fixture
def run(squidle: StubSquidle, door: str, tmp_path: Path) -> Iterator[Run]:
    labels = tmp_path / "labels.json"
    labels.write_text(json.dumps(MAP))
    with open_door() as stub:
        stub.app = squidle.app()
        told = {"FATHOM_URL": door, "PYTHONPATH": str(ROOT / "client"), "SQUIDLE_API_KEY": KEY}

        def fathom_squidle(*arguments: str, **environ: str) -> dict[str, Any]:
            usual = ["--model", "benthic-demo", "--annotation-set-id", str(SET), "--label-map", str(labels)]
            script = Path(__file__).with_name("fathom_squidle.py")
            command = [*usual, "--host", stub.address, *arguments]
            ended: dict[str, Any] = run_in("squidle", script, *command, **{**told, **environ})
            assert "Traceback" not in ended["err"], ended["err"]
            return ended

        yield fathom_squidle


def suggested(squidle: StubSquidle) -> list[tuple[int, int]]:
    return [(one["point_id"], one["label_id"]) for one in squidle.written]


def test_each_point_gets_the_animal_that_it_lies_on(run: Run, squidle: StubSquidle, system: FakeSystem) -> None:
    ended = run()
    assert ended["status"] == 0, ended["err"]
    counts = json.loads(ended["out"])
    assert (counts["media"], counts["points"], counts["new_annotations"], counts["failed"]) == (2, 8, 6, 0)
    assert suggested(squidle) == [(10, STAR), (11, FISH), (13, STAR), (20, STAR), (21, FISH), (23, STAR)]
    first = squidle.written[0]
    assert (first["user_id"], first["annotation_set_id"]) == (USER, SET + 1)
    assert first["likelihood"] == pytest.approx(0.9)
    # The suggestions have a set of their own, below that of the people, and each image was asked once.
    assert [(one["name"], one.get("parent_id")) for one in squidle.sets] == [
        ("dive 7", None),
        ("benthic-demo 1", SET),
    ]
    assert len(system.asked) == 2
    again = run()
    assert (again["status"], again["out"]) == (0, "")
    assert "has suggestions of benthic-demo 1; --again makes them anew" in again["err"]
    assert len(squidle.written) == 6
    assert run("--again", "--least-likelihood", "0.7")["status"] == 0
    assert suggested(squidle)[6:] == [(10, STAR), (13, STAR), (20, STAR), (23, STAR)]


def test_a_point_beside_the_mask_is_beside_the_animal(run: Run, squidle: StubSquidle, system: FakeSystem) -> None:
    """A triangle in its box: (0.2, 0.4) is in the corner that it leaves free."""
    grid = np.zeros((50, 100), bool)
    for row in range(10, 30):
        grid[row, 50 - 2 * (row - 10) : 51] = True
    boxes = np.array([[10, 10, 51, 30]], np.float32)
    masks = Masks.of(1, lambda index: grid, grid.shape)
    found = Detections(boxes, np.ones(1, np.float32), np.zeros(1, np.int32), ("fixed answer A",), masks)
    system.fails_with = Prediction(found, (50, 100), "benthic-demo", "1")
    squidle.points = [ON_A, (0.45, 0.5)]
    assert run()["status"] == 0
    assert suggested(squidle) == [(11, STAR), (21, STAR)]


def test_a_classifier_looks_at_the_square_around_a_point(run: Run, squidle: StubSquidle, system: FakeSystem) -> None:
    scores = ClassScores(np.array([0.2, 0.8], np.float32), ("fixed answer A", "fixed answer B"))
    system.fails_with = Prediction(scores, (50, 100), "benthic-demo", "1")
    squidle.media.pop(2)
    assert run("--patch-px", "20")["status"] == 0
    assert suggested(squidle) == [(10 + number, FISH) for number in range(4)]
    heads = [bytes(request.image.encoded[:12]) for _, request in system.asked if request.image.encoded is not None]
    assert heads[0].startswith(b"P6 100 50")
    assert [head.startswith(b"P6 20 20") for head in heads[1:]] == [True] * 3


def test_an_image_that_cannot_be_read_does_not_keep_the_others_from_being_done(
    run: Run, squidle: StubSquidle
) -> None:
    squidle.media = {1: b"no image", 2: picture()}
    ended = run()
    assert ended["status"] == 1
    assert json.loads(ended["out"])["failed"] == 1
    assert "media 1: " in ended["err"]
    assert suggested(squidle) == [(20, STAR), (21, FISH), (23, STAR)]


@pytest.mark.parametrize(
    ("arguments", "environ", "status", "words"),
    [
        ([], {"SQUIDLE_API_KEY": ""}, 2, "SQUIDLE_API_KEY is missing"),
        ([], {"SQUIDLE_API_KEY": "wrong"}, 1, "Unauthorised"),
        (["--annotation-set-id", "41"], {}, 1, "annotation set 41 is not there"),
        (["--host", "http://127.0.0.1:9"], {}, 3, "http://127.0.0.1:9 cannot be reached"),
        (["--model", "gone"], {}, 2, "no model and no queue is called 'gone'"),
        (["--label-map", "/no/such/file"], {}, 2, "/no/such/file"),
        (["--label-map", __file__], {}, 2, "test_suggestions.py"),
        (["--iou-threshold", "7"], {}, 2, "iou_threshold must be between 0 and 1"),
    ],
)
def test_what_cannot_be_done_is_said(
    run: Run, squidle: StubSquidle, arguments: list[str], environ: dict[str, str], status: int, words: str
) -> None:
    ended = run(*arguments, **environ)
    assert (ended["status"], squidle.written) == (status, []), ended["err"]
    assert words in ended["err"]


def test_an_embedding_has_no_labels(run: Run, squidle: StubSquidle, system: FakeSystem) -> None:
    system.fails_with = Prediction(Embedding(np.zeros(3, np.float32)), (50, 100), "benthic-demo", "1")
    ended = run()
    assert (ended["status"], squidle.written) == (1, [])
    assert "answers with 'embedding', which has no labels" in ended["err"]
    assert "another one needs --again" in ended["err"]
