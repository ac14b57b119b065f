"""Errors survive the way between processes and keep their text."""

import pickle

import pytest

from deployments.errors import ServingError, all_error_types


@pytest.mark.parametrize("kind", list(all_error_types()))
def test_survives_pickling(kind: type[ServingError]) -> None:
    copy = pickle.loads(pickle.dumps(kind("height must be positive, got -1")))
    assert type(copy) is kind
    assert copy.message == "height must be positive, got -1"


def test_every_error_has_a_code_of_its_own() -> None:
    codes = [kind.code for kind in all_error_types() if kind is not ServingError]
    assert len(codes) == len(set(codes))


def test_only_errors_that_pass_by_themselves_are_temporary() -> None:
    temporary = {kind.code for kind in all_error_types() if kind.is_temporary}
    assert temporary == {"model-unavailable", "overloaded"}
