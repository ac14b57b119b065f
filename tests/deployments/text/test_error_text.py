"""The line that says why, out of what a process or a library wrote."""

import pytest

from deployments.text.error_text import MAX_REASON_CHARACTERS, last_line


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("loading\nit is broken\n", "it is broken"),
        ("it is broken\r\n  \n\n", "it is broken"),
        ("x" * 2000, "x" * MAX_REASON_CHARACTERS),
        ("", "no reason given"),
        (" \n", "no reason given"),
    ],
)
def test_the_last_line_is_the_last_that_is_not_blank(text: str, line: str) -> None:
    assert last_line(text) == line


def test_a_caller_chooses_what_stands_for_no_line() -> None:
    assert last_line("\n", "it said nothing") == "it said nothing"
