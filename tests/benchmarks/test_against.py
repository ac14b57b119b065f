"""Two checkouts asked in turn: who is when, and what is said of them."""

from pathlib import Path
from typing import Any

import pytest

from benchmarks.against import AFTER, BEFORE, main, order, report


def sample(rate: float, **cpu_ms: float) -> dict[str, Any]:
    return {"figures": {"requests_per_s": rate, "statuses": {"200": 9}}, "cpu_ms": cpu_ms}


def test_a_drift_meets_both_alike() -> None:
    sides = order(4)
    places = {side: [at for at, one in enumerate(sides) if one == side] for side in (BEFORE, AFTER)}
    assert sum(places[BEFORE]) == sum(places[AFTER])
    assert len(places[BEFORE]) == len(places[AFTER]) == 4


def test_the_ratio_is_that_of_the_turns_and_not_of_the_medians() -> None:
    before = [sample(100, door=1.0, model=2.0), sample(400, door=1.0, model=2.0), sample(200, door=1.0, model=2.0)]
    after = [sample(90, door=1.5, model=2.0), sample(360, door=1.5, model=2.0), sample(180, door=1.5, model=2.0)]
    lines = report("m0-64px-c32", before, after)
    assert lines[0] == "m0-64px-c32, 3 turns: 200.0 req/s before, 180.0 after"
    assert lines[1].startswith("after / before: 0.90")
    assert [line.split() for line in lines[3:]] == [
        ["door", "1.000", "1.500"],
        ["model", "2.000", "2.000"],
        ["all", "3.000", "3.500"],
    ]


def test_a_folder_that_is_no_checkout_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([str(tmp_path)])
    assert "no checkout" in capsys.readouterr().err
