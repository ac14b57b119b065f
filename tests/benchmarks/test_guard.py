"""Which ratios are guarded, and when one is lost."""

import pytest

from benchmarks.cases import CASES
from benchmarks.guard import FLOORS, Floor, is_below, lines, reached
from benchmarks.systems.table import FAST, HANDWRITTEN, LIMIT, SYSTEMS

OVER_HANDWRITTEN = Floor("m1-720p-c32", FAST, HANDWRITTEN[0], 0.9)
OVER_LIMIT = Floor("m1-720p-c32", FAST, LIMIT, 0.8)
RATES = {
    FAST: [95.0, 96.0, 190.0, 97.0],
    HANDWRITTEN[0]: [50.0, 50.0, 100.0, 50.0],
    HANDWRITTEN[1]: [100.0, 100.0, 200.0, 100.0],
    LIMIT: [110.0, 90.0],
}


def test_the_better_hand_written_server_of_the_same_turn_counts() -> None:
    found = reached(OVER_HANDWRITTEN, RATES)
    assert found.median == pytest.approx(0.955)
    assert found.rounds == 4


def test_the_limit_is_that_of_the_whole_run() -> None:
    assert reached(OVER_LIMIT, RATES).median == pytest.approx(0.965)


def test_a_ratio_fails_where_all_of_its_interval_is_below_the_floor() -> None:
    slow = RATES | {FAST: [80.0, 81.0, 160.0, 82.0]}
    disturbed = RATES | {FAST: [80.0, 99.0, 100.0, 95.0]}
    found = [(OVER_HANDWRITTEN, reached(OVER_HANDWRITTEN, rates)) for rates in (RATES, slow, disturbed)]
    assert [is_below(floor, one) for floor, one in found] == [False, True, False]
    assert [line.split()[0] for line in lines(found)] == ["PASS", "FAIL", "PASS"]
    assert "ours-fast over hand-written 0.95" in next(lines(found))


def test_every_floor_is_above_zero_and_for_what_is_measured() -> None:
    cases = {case.name: case for case in CASES}
    for floor in FLOORS:
        assert 0 < floor.least < 1.5
        assert cases[floor.case].concurrency is not None
        assert floor.above in SYSTEMS
