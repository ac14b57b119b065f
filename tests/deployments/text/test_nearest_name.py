"""The hint for a name that does not exist."""

from time import process_time

from deployments.text.nearest_name import nearest_in_any_case, nearest_of


def test_the_nearest_name_is_told_or_all_of_them() -> None:
    assert nearest_of("imgae", ["image", "classes"]) == "did you mean image?"
    assert nearest_of("zzz", ["image", "classes"]) == "known: classes, image"


def test_case_does_not_matter_where_it_must_not() -> None:
    assert nearest_in_any_case("CRAP", ["Crab", "Fish"], 3) == ["Crab"]


def test_a_name_of_a_whole_file_costs_next_to_nothing() -> None:
    name = "abc" * 1_000_000
    began_s = process_time()
    assert nearest_of(name, ["image"]) == "known: image"
    assert nearest_in_any_case(name, ["Crab"], 3) == []
    assert process_time() - began_s < 0.5, "2 s and more without a bound"
