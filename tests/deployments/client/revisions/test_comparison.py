"""What two revisions found in one image is matched box by box."""

import numpy as np
import pytest

from deployments.client.revisions.comparison import Comparison, compare
from deployments.prediction import Detections

Row = tuple[str, float, tuple[float, float, float, float]]

CRAB: Row = ("Crab", 0.9, (0, 0, 10, 10))
FISH: Row = ("Fish", 0.6, (20, 20, 40, 30))


def found(*rows: Row) -> Detections:
    return Detections(
        np.array([box for _, _, box in rows], np.float32).reshape(-1, 4),
        np.array([score for _, score, _ in rows], np.float32),
        np.zeros(len(rows), np.int32),
        tuple(label for label, _, _ in rows),
    )


def test_what_both_found_is_the_same_in_any_order_and_scores_may_differ() -> None:
    comparison = compare(found(CRAB, FISH), found(FISH, ("Crab", 0.7, (0, 0, 10, 9))))
    assert (comparison.both, comparison.only_model, comparison.only_candidate) == (2, 0, 0)
    assert comparison.score_difference == pytest.approx(0.2, abs=1e-6)
    assert not comparison.differs


@pytest.mark.parametrize(
    ("model", "candidate", "expected"),
    [
        ([CRAB, FISH], [CRAB], Comparison(1, 1, 0, 0)),
        ([CRAB], [CRAB, FISH], Comparison(1, 0, 1, 0)),
        ([CRAB], [("Fish", 0.9, CRAB[2])], Comparison(0, 1, 1, 0)),
        ([CRAB], [("Crab", 0.9, (6, 0, 16, 10))], Comparison(0, 1, 1, 0)),
        ([CRAB, CRAB], [CRAB], Comparison(1, 1, 0, 0)),
        ([], [CRAB], Comparison(0, 0, 1, 0)),
        ([CRAB], [], Comparison(0, 1, 0, 0)),
    ],
    ids=["missed", "more", "another name", "another place", "twice", "nothing", "nothing more"],
)
def test_what_only_one_found_differs(model: list[Row], candidate: list[Row], expected: Comparison) -> None:
    assert compare(found(*model), found(*candidate)) == expected
    assert expected.differs


def test_two_empty_answers_are_the_same_and_a_box_without_area_does_no_harm() -> None:
    assert compare(found(), found()) == Comparison(0, 0, 0, 0)
    point: Row = ("Crab", 0.9, (5, 5, 5, 5))
    assert compare(found(point), found(point)) == Comparison(0, 1, 1, 0)


def test_the_best_score_chooses_first_and_takes_what_overlaps_it_most() -> None:
    weak: Row = ("Crab", 0.5, (1, 0, 11, 10))
    comparison = compare(found(weak, CRAB), found(("Crab", 0.5, (1, 0, 11, 10)), ("Crab", 0.9, (0, 0, 10, 10))))
    assert comparison.both == 2
    assert comparison.score_difference == pytest.approx(0, abs=1e-6)
