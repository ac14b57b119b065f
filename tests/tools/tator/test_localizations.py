"""`fathom tator` with the real tator-py, against our door and a stub of Tator."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deployments.prediction import ClassScores, Detections, Prediction
from tests.client.fake_server import open_door
from tests.serve_app.conftest import FakeSystem
from tests.serve_app.uploads import picture
from tests.tools.environments import run_in
from tests.tools.tator.stub_tator import BOXES, DOTS, IMAGE, PROJECT, TOKEN, VIDEO, StubTator

pytestmark = [pytest.mark.tools, pytest.mark.timeout(720)]

ROOT = Path(__file__).parents[3]
MODEL = ["--model", "benthic-demo", "--type-id", str(BOXES)]
SIDES = ("x", "y", "width", "height")
FIRST, SECOND = (0.1, 0.2, 0.4, 0.4), (0.5, 0.5, 0.4, 0.4)
"""The boxes of the fixed answer, as parts of the frame."""

Run = Callable[..., dict[str, Any]]


@pytest.fixture
def tator() -> StubTator:
    return StubTator(picture())


@pytest.fixture
def run(tator: StubTator, door: str) -> Iterator[Run]:
    """As Tator starts a hosted algorithm for an image and a video; a variable that is '' is not there."""
    with open_door() as stub:
        stub.app = tator.app()
        told = {
            "FATHOM_URL": door,
            "PYTHONPATH": str(ROOT / "client"),
            "TATOR_API_SERVICE": f"{stub.address}/rest/",
            "TATOR_AUTH_TOKEN": TOKEN,
            "TATOR_PROJECT_ID": str(PROJECT),
            "TATOR_MEDIA_IDS": f"{IMAGE},{VIDEO}",
        }

        def fathom_tator(*arguments: str, **environ: str) -> dict[str, Any]:
            script = Path(__file__).with_name("fathom_tator.py")
            ended: dict[str, Any] = run_in("tator", script, *arguments, **{**told, **environ})
            assert "Traceback" not in ended["err"], ended["err"]
            return ended

        yield fathom_tator


def places(tator: StubTator) -> list[tuple[int, int]]:
    return sorted((one["media_id"], one["frame"]) for one in tator.kept)


def test_boxes_are_written_as_parts_of_the_frame_and_never_twice(run: Run, tator: StubTator) -> None:
    arguments = [*MODEL, "--every", "2", "--score-attribute", "Confidence"]
    ended = run(*arguments)
    assert ended["status"] == 0, ended["err"]
    assert f"media {VIDEO}: 4 boxes written" in ended["err"]
    assert places(tator) == [(IMAGE, 0)] * 2 + [(VIDEO, 0)] * 2 + [(VIDEO, 2)] * 2
    first, second = tator.kept[:2]
    assert [first[side] for side in SIDES] == pytest.approx(FIRST)
    assert [second[side] for side in SIDES] == pytest.approx(SECOND)
    assert first["attributes"] == {"Label": "fixed answer A", "Confidence": pytest.approx(0.9)}
    assert len({one["elemental_id"] for one in tator.kept}) == 6
    assert "version" not in first
    # A person deletes one: it does not come back.
    tator.deleted = {first["elemental_id"]}
    again = run(*arguments)
    assert again["status"] == 0
    assert "2 frames left alone that have some" in again["err"]
    assert len(tator.kept) == 6
    assert tator.frames_asked == [0, 2]
    # Other frames are new, and so is another version.
    run(*MODEL, "--every", "3", "--media-id", str(VIDEO))
    assert places(tator)[-2:] == [(VIDEO, 3)] * 2
    run(*MODEL, "--media-id", str(IMAGE), "--version-id", "9")
    assert [one.get("version") for one in tator.kept[-2:]] == [9, 9]


def test_a_run_that_was_cut_off_goes_on(run: Run, tator: StubTator, system: FakeSystem) -> None:
    """Of a frame with 1,100 boxes one request fails: what was written stays, and the next run adds the rest."""
    count = 1100
    boxes = np.tile(np.array([[10, 10, 20, 20]], np.float32), (count, 1))
    labels = ("Krill",) * count
    found = Detections(boxes, np.ones(count, np.float32), np.zeros(count, np.int32), labels)
    system.fails_with = Prediction(found, (50, 100), "benthic-demo", "1")
    tator.fails_on_write = 3
    ended = run(*MODEL, "--media-id", str(IMAGE))
    assert ended["status"] == 1
    assert "the database is busy" in ended["err"]
    assert len(tator.kept) == 600
    again = run(*MODEL, "--media-id", str(IMAGE))
    assert again["status"] == 0, again["err"]
    assert len(tator.kept) == len({one["elemental_id"] for one in tator.kept}) == count


def test_a_dry_run_prints_and_writes_nothing(run: Run, tator: StubTator) -> None:
    ended = run(*MODEL, "--dry-run", "--score-threshold", "0.7")
    assert ended["status"] == 0
    lines = [json.loads(line) for line in ended["out"].splitlines()]
    assert [(one["media_id"], one["frame"]) for one in lines] == [(IMAGE, 0)] + [(VIDEO, frame) for frame in range(4)]
    assert (tator.kept, tator.requests_to_write) == ([], 0)


def test_a_medium_that_is_not_there_does_not_keep_the_others_from_being_done(run: Run, tator: StubTator) -> None:
    ended = run(*MODEL, TATOR_MEDIA_IDS=f"99,{IMAGE}")
    assert ended["status"] == 1
    assert "media 99" in ended["err"]
    assert "1 of 2 media failed" in ended["err"]
    assert places(tator) == [(IMAGE, 0)] * 2


@pytest.mark.parametrize(
    ("arguments", "environ", "status", "words"),
    [
        (MODEL, {"TATOR_MEDIA_IDS": ""}, 2, "which media?"),
        (MODEL, {"TATOR_MEDIA_IDS": "x"}, 2, "invalid literal"),
        (MODEL, {"TATOR_API_SERVICE": ""}, 2, "which Tator?"),
        (MODEL, {"TATOR_PROJECT_ID": ""}, 2, "--project-id or TATOR_PROJECT_ID is missing"),
        (MODEL, {"TATOR_AUTH_TOKEN": ""}, 2, "TATOR_AUTH_TOKEN is missing"),
        (MODEL, {"TATOR_AUTH_TOKEN": "wrong"}, 1, "Authentication credentials were not provided"),
        (MODEL, {"TATOR_API_SERVICE": "http://127.0.0.1:9/rest"}, 3, "cannot be reached"),
        (MODEL, {"FATHOM_URL": "http://127.0.0.1:9"}, 3, "127.0.0.1:9"),
        (["--model", "gone", "--type-id", str(BOXES)], {}, 2, "no model and no queue is called 'gone'"),
        (["--model", "benthic-demo", "--type-id", str(DOTS)], {}, 2, "has the shape dot, and not box"),
        ([*MODEL, "--label-attribute", "Species"], {}, 2, "has no attribute 'Species'; it has Label, Confidence"),
        ([*MODEL, "--iou-threshold", "7"], {}, 2, "iou_threshold must be between 0 and 1"),
    ],
)
def test_what_cannot_be_done_is_said(
    run: Run, tator: StubTator, arguments: list[str], environ: dict[str, str], status: int, words: str
) -> None:
    ended = run(*arguments, **environ)
    assert (ended["status"], tator.kept) == (status, []), ended["err"]
    assert words in ended["err"]


def test_what_is_no_tator_is_said(run: Run, door: str) -> None:
    ended = run(*MODEL, TATOR_API_SERVICE=f"{door}/rest")
    assert ended["status"] == 1
    assert "does not answer as Tator does" in ended["err"]


def test_a_tator_that_is_silent_is_not_waited_for_without_end(run: Run, tator: StubTator) -> None:
    tator.silent_on_write = True
    ended = run(*MODEL, "--media-id", str(IMAGE), "--timeout", "1")
    assert ended["status"] == 3
    assert "cannot be reached" in ended["err"]


def test_a_classifier_has_no_boxes(run: Run, tator: StubTator, system: FakeSystem) -> None:
    scores = ClassScores(np.array([0.5], np.float32), ("reef",))
    system.fails_with = Prediction(scores, (50, 100), "benthic-demo", "1")
    ended = run(*MODEL)
    assert ended["status"] == 1
    assert "does not answer with 'detections' but with 'classes'" in ended["err"]
    assert tator.kept == []
