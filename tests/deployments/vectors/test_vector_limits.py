"""What may name a project, a label or a vector."""

import pytest

from deployments.errors import InvalidRequest
from deployments.vectors.limits import LONGEST_NAME, checked_name


@pytest.mark.parametrize(
    "name", ["Atolla", "902004-Planktivore-HighMag", "kelp: giant", "Kolben\u00e4hre", "x" * 200]
)
def test_what_people_call_things_is_a_name(name: str) -> None:
    assert checked_name(name, "label") == name


@pytest.mark.parametrize(
    "name", ["", " ", " Atolla", "Atolla\n", "a\0b", "a\tb", "\u202egpj", "x" * (LONGEST_NAME + 1)]
)
def test_what_cannot_be_read_on_a_screen_is_none(name: str) -> None:
    with pytest.raises(InvalidRequest, match="label must be 1 to 200 printable characters without spaces around"):
        checked_name(name, "label")
