"""Commands for tools whose packages are extras say so where they are missing."""

import sys

import pytest

from tests.client.command.conftest import Fathom


@pytest.mark.parametrize(
    ("command", "package", "options"),
    [
        ("tator", "tator", ["--type-id", 7]),
        ("squidle", "sqapi", ["--annotation-set-id", 7, "--label-map", "labels.json"]),
    ],
)
def test_a_missing_package_is_named_with_the_extra_that_brings_it(
    fathom: Fathom, monkeypatch: pytest.MonkeyPatch, command: str, package: str, options: list[object]
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    ended = fathom(command, "--model", "demo", *options)
    assert (ended.status, ended.out) == (2, "")
    assert f"pip install './client[{command}]'" in ended.err
