"""The retry policy: every error of the core has its entry."""

import pytest

from deployments.errors import InternalError, InvalidImage, ServingError, all_error_types
from redis_bridge.delivery.retry_policy import DISPOSITIONS, Disposition, disposition


def test_the_table_of_errors_is_complete() -> None:
    assert set(DISPOSITIONS) == set(all_error_types())


@pytest.mark.parametrize("error_type", list(all_error_types()))
def test_temporary_errors_and_only_they_are_no_fault_of_the_job(error_type: type[ServingError]) -> None:
    waits = disposition(error_type("x")) is Disposition.WAIT
    assert waits == (error_type.is_temporary or error_type.code == "model-not-found")


def test_a_new_error_type_is_treated_as_its_base() -> None:
    class Blurred(InvalidImage):
        pass

    class Odd(InternalError):
        pass

    assert disposition(Blurred("x")) is Disposition.REFUSE
    assert disposition(Odd("x")) is Disposition.TRY_AGAIN
