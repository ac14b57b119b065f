"""Options are taken over, and wrong ones are told."""

import pytest

from benchmarks.cases import BAR_CASES, chosen_cases
from benchmarks.options import parse_options, timing_of


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (["--systems", "ours,theirs"], "unknown: theirs"),
        (["--rounds", "0"], "must be above 0"),
        (["--seconds", "soon"], "must be a number"),
        (["--env", "VALUE"], "must be KEY=VALUE"),
    ],
)
def test_wrong_options_are_told(arguments: list[str], complaint: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse_options(arguments)
    assert complaint in capsys.readouterr().err


def test_options_are_taken_over() -> None:
    options = parse_options(
        ["--quick", "--seconds", "3", "--env", "A=b=c", "--systems", "legacy,ours", "--extras", ""]
    )
    assert (timing_of(options).rounds, timing_of(options).seconds) == (1, 3.0)
    assert options.env == [("A", "b=c")]
    assert options.systems == ["ours", "legacy"]
    assert options.extras == []
    assert timing_of(parse_options([])).rounds == 5


def test_a_run_for_the_bars_measures_all_that_they_need() -> None:
    options = parse_options(["--bars"])
    names = {case.name for case in chosen_cases(options.cases, options.models, options.systems)}
    assert names == {*BAR_CASES, "m50-720p-c32"}
    assert "legacy" not in options.systems
