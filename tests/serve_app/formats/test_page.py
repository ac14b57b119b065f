"""docs/formats.md has every format, with its media type and with what it can express."""

import re
from pathlib import Path

import pytest

from deployments.prediction import ClassScores
from serve_app.formats import FORMATS
from serve_app.formats.contract import EXPRESSED_BY

PAGE = (Path(__file__).parents[3] / "docs/formats.md").read_text(encoding="utf-8")
ROWS = dict(re.findall(r"^\| `([\w-]+)` \| (`[\w/]+` .*) \|$", PAGE, re.M))


def test_every_format_has_a_row() -> None:
    assert list(ROWS) == ["json", *FORMATS]


@pytest.mark.parametrize("name", FORMATS)
def test_a_row_says_what_the_format_is(name: str) -> None:
    media_type, _, expresses = ROWS[name].split(" | ")
    assert media_type == f"`{FORMATS[name].media_type}`"
    assert ("class scores" in expresses) == (name in EXPRESSED_BY[ClassScores])
