"""The id of an upload or a job is shown in a bounded, harmless form, and stands in the lines that concern it."""

import pytest

from deployments.origin import LONGEST_ID, MOST_IDS, Origin, about, shown_id


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("dive 7", "dive 7"),
        ("a\nERROR forged", "a?ERROR forged"),
        ("\x1b[2Jé", "?[2Jé"),
        ("x" * 9999, "x" * LONGEST_ID),
    ],
)
def test_an_id_fits_into_one_line(text: str, shown: str) -> None:
    assert shown_id(text) == shown


def test_a_line_about_many_requests_names_each_once_and_not_too_many() -> None:
    assert about([]) == about([None]) == {}
    assert about([Origin("a"), None, Origin("b"), Origin("a")]) == {"request_id": "a,b"}
    ids = about(Origin(str(number)) for number in range(MOST_IDS + 5))["request_id"].split(",")
    assert ids == [*map(str, range(MOST_IDS)), "and 5 more"]
