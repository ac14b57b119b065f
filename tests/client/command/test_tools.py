"""Commands for tools whose packages are extras say so where they are missing."""

import sys

import pytest

from tests.client.command.conftest import Fathom


def test_a_missing_package_is_named_with_the_extra_that_brings_it(
    fathom: Fathom, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tator", None)
    ended = fathom("tator", "--model", "demo", "--type-id", 7)
    assert (ended.status, ended.out) == (2, "")
    assert "pip install 'fathom-client[tator]'" in ended.err
