"""The comparison of two models, against a real server that answers for both."""

from pathlib import Path
from typing import Any

import pytest

from loadtests.compare import main
from tests.loadtests.conftest import Door

OLD, NEW = "image_queue_yolov5", "our-model"


def row(label: str, score: float, *box: float) -> dict[str, Any]:
    return {"category_id": label, "scores": [score], "bbox": list(box)}


def answer(*rows: dict[str, Any]) -> dict[str, Any]:
    return {"success": True, "predictions": list(rows)}


@pytest.fixture
def frame(tmp_path: Path) -> str:
    path = tmp_path / "frame.jpg"
    path.write_bytes(b"pixels")
    return str(path)


def compare(door: Door, *arguments: str) -> int:
    return main([OLD, NEW, "--url", f"{door.url}/predictor/", *arguments])


def test_the_same_animals_in_another_order_are_alike(
    door: Door, frame: str, capsys: pytest.CaptureFixture[str]
) -> None:
    door.answers = {
        OLD: answer(row("Crab", 0.3, 200, 200, 220, 220), row("Fish", 0.9, 0, 0, 100, 100)),
        NEW: answer(row("Fish", 0.85, 0, 0, 100, 80), row("Crab", 0.31, 200, 200, 220, 220)),
    }
    assert compare(door, frame) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "2 alike, 0 only in the first, 0 only in the second" in lines[0]
    assert lines[0].endswith("least IoU 0.80, scores differ by 0.05 at most")
    assert lines[1] == "0 of 1 frames differ"
    assert [b"pixels" in body for body in door.bodies] == [True, True]


def test_what_only_one_of_them_has_is_listed(door: Door, frame: str, capsys: pytest.CaptureFixture[str]) -> None:
    door.answers = {
        OLD: answer(row("Fish", 0.9, 0, 0, 100, 100), row("Fish", 0.1, 500, 500, 510, 510)),
        NEW: answer(row("Crab", 0.9, 0, 0, 100, 100), row("Fish", 0.8, 80, 0, 180, 100)),
    }
    assert compare(door, frame, frame) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[1:4] == [
        "  only in the first: Fish 0.90 at 0, 0, 100, 100",
        "  only in the second: Crab 0.90 at 0, 0, 100, 100",
        "  only in the second: Fish 0.80 at 80, 0, 180, 100",
    ]
    assert lines[-1] == "2 of 2 frames differ"


def test_boxes_of_low_scores_count_where_asked_for(door: Door, frame: str) -> None:
    door.answers = {OLD: answer(row("Fish", 0.1, 0, 0, 10, 10)), NEW: answer()}
    assert compare(door, frame) == 0
    assert compare(door, "--min-score", "0.1", frame) == 1


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"success": False, "predictions": None}, "no success"),
        (answer({"scores": [0.1, 0.9]}), "without category_id"),
        (answer(row("Fish", 0.5, 1, 2, 3)), "four numbers"),
        (
            {"success": True, "predictions": [{"category_id": "a", "scores": ["b"], "bbox": [1, 2, 3, 4]}]},
            "not a number",
        ),
        ({"success": True, "predictions": {"error": {"code": "internal"}}}, "not a list"),
    ],
)
def test_an_answer_without_boxes_ends_with_the_reason(
    door: Door, frame: str, capsys: pytest.CaptureFixture[str], given: dict[str, Any], said: str
) -> None:
    door.answers = {NEW: given}
    assert compare(door, frame) == 2
    shown = capsys.readouterr().err
    assert NEW in shown
    assert said in shown


def test_a_door_that_is_not_there_or_a_frame_that_is_not_there_is_said(
    door: Door, frame: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert compare(door, "--second-url", "http://127.0.0.1:9/predictor/", frame) == 2
    assert "http://127.0.0.1:9/predictor/" in capsys.readouterr().err
    assert compare(door, f"{frame}.gone") == 2
    assert "frame.jpg.gone" in capsys.readouterr().err
