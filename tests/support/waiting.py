"""Waiting for a condition, with a deadline: the one place of the tests that sleeps between two looks."""

import time
from collections.abc import Callable
from typing import Any

import pytest

POLL_INTERVAL_S = 0.1


def wait_for(
    condition: Callable[[], Any],
    deadline_s: float = 30.0,
    what: str = "the condition",
    poll_interval_s: float = POLL_INTERVAL_S,
) -> Any:
    """The first true value of `condition`; fails when it stays false until the deadline."""
    ends_at_s = time.monotonic() + deadline_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > ends_at_s:
            pytest.fail(f"{what} did not come true within {deadline_s:g} s; last seen: {value!r}")
        time.sleep(poll_interval_s)
