"""Mistakes in answers are found, and right answers have none."""

from typing import Any

import pytest

from benchmarks.load.correctness import legacy_rows_in, mistakes

ROW = {"category_id": "star", "scores": [0.9], "bbox": [10.0, 10.0, 50.0, 50.0]}
FAINT = {"category_id": "star", "scores": [0.26], "bbox": [60.0, 10.0, 80.0, 50.0]}


def test_right_answers_have_no_mistakes() -> None:
    moved = {**ROW, "bbox": [10.5, 10.0, 50.0, 49.5], "scores": [0.895]}
    assert mistakes([ROW, FAINT], [moved]) == []
    assert mistakes([ROW], [FAINT, moved]) == []


def test_rows_are_found_in_the_answers_of_both_endpoints() -> None:
    box = {"x1": 10.0, "y1": 10.0, "x2": 50.0, "y2": 50.0}
    found = {"label": "star", "class_id": 0, "score": 0.9, "box": box}
    assert legacy_rows_in({"predictions": [ROW]}) == [ROW]
    assert legacy_rows_in({"images": [{"detections": [found]}]}) == [ROW]
    assert legacy_rows_in({"success": False, "predictions": None}) is None


@pytest.mark.parametrize(
    ("given", "complaint"),
    [
        (None, "not a list"),
        ([], "is missing"),
        ([{**ROW, "category_id": "crab"}], "should not be there"),
        ([{**ROW, "bbox": [13.0, 10.0, 50.0, 50.0]}], "is missing"),
        ([{**ROW, "scores": [0.8]}], "is missing"),
        ([{"category_id": "star"}], "lacks"),
        ([ROW, {**ROW, "bbox": [0.0, 0.0, 5.0, 5.0]}], "should not be there"),
    ],
)
def test_wrong_answers_are_found(given: Any, complaint: str) -> None:
    assert complaint in "; ".join(mistakes([ROW], given))
