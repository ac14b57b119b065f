"""Cases have unique names, are narrowed by model and system, and bring what they need."""

import pytest

from benchmarks.cases import CASES, chosen_cases
from benchmarks.models import MODELS
from benchmarks.options import EVERY_SYSTEM


def test_case_names_are_unique_and_told() -> None:
    names = [case.name for case in CASES]
    assert len(set(names)) == len(names)
    assert {"m0-64px-c32", "m1-720p-o80", "m1-720p-o150", "m50-720p-o80", "demo-720p-c1"} <= set(names)


def test_an_open_loop_brings_the_case_that_measures_capacity() -> None:
    cases = chosen_cases(["m1-720p-o80"], MODELS, EVERY_SYSTEM)
    assert [case.name for case in cases] == ["m1-720p-c32", "m1-720p-o80"]


def test_cases_are_narrowed_by_model_and_system() -> None:
    cases = chosen_cases(["*-c1"], ["m1"], ["ours", "legacy"])
    assert [(case.name, case.systems) for case in cases] == [("m1-720p-c1", ("ours", "legacy"))]
    with pytest.raises(ValueError, match="no case is left for m9"):
        chosen_cases(["m9*"], MODELS, EVERY_SYSTEM)
