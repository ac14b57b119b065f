"""Suggests the name that somebody probably meant when they wrote one that does not exist."""

from collections.abc import Iterable
from difflib import get_close_matches

_LONGEST_NAME = 100
"""Characters of a name that are compared; a client may write millions, which would take minutes."""


def nearest_of(name: object, known: Iterable[str]) -> str:
    """A hint for a person who wrote `name`: the nearest of the `known` names, or all of them."""
    names = sorted(known)
    nearest = get_close_matches(str(name)[:_LONGEST_NAME], names, n=1)
    return f"did you mean {nearest[0]}?" if nearest else f"known: {', '.join(names) or 'none'}"


def nearest_in_any_case(name: str, known: Iterable[str], at_most: int) -> list[str]:
    """Up to `at_most` of the `known` names that resemble `name`, the nearest first. Upper and lower case are the
    same; of names that differ in nothing else, the first counts."""
    folded: dict[str, str] = {}
    for one in known:
        folded.setdefault(one.casefold(), one)
    return [folded[found] for found in get_close_matches(name[:_LONGEST_NAME].casefold(), folded, at_most)]
