"""How long a run will take."""

from benchmarks.cases import chosen_cases
from benchmarks.models import MODELS
from benchmarks.options import EVERY_SYSTEM, parse_options, timing_of
from benchmarks.report.estimate import estimate_s
from benchmarks.run import Plan


def test_the_estimate_grows_with_rounds_and_systems() -> None:
    timing = timing_of(parse_options([]))
    cases = chosen_cases(["*"], MODELS, EVERY_SYSTEM)
    little = estimate_s(Plan(chosen_cases(["m0*"], MODELS, ["ours"]), ["ours"], [], False, timing, {}))
    much = estimate_s(Plan(cases, EVERY_SYSTEM, ["floor", "ours"], True, timing, {}))
    assert 60 < little < much < 3 * 3600
