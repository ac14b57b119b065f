"""When a soak has failed, and what it says."""

from collections.abc import Callable

import pytest

from benchmarks.soak.accounts import OK, Accounts
from benchmarks.soak.memory import ROLES, Trend
from benchmarks.soak.soak import Found
from benchmarks.soak.verdict import lines, reasons

BOUND = 60.0


def good() -> Found:
    accounts = Accounts(requests=2, jobs=1, answered=1)
    accounts.outcomes[OK] = 2
    trends = [Trend(role, number, 30, 100, 101, 2.0) for number, role in enumerate(ROLES)]
    return Found(accounts, wakes=2, wakes_s=[1.5], kills=["killed a bridge", "killed it again"], trends=trends)


def grow(found: Found) -> None:
    found.trends.append(Trend("door", 77, 30, 100, 140, BOUND + 20))


def shorten(found: Found) -> None:
    found.trends[0] = Trend("controller", 1, 2, 100, 100, None)


def test_a_good_soak_passes_and_a_process_that_came_late_is_not_judged() -> None:
    found = good()
    found.trends.append(Trend("bridge", 99, 1, 50, 90, None))
    assert reasons(found, BOUND, 2, ROLES) == []
    text = "\n".join(lines(found))
    assert "2 requests, 0 failed, 0 refused (2 200)" in text
    assert "1 jobs, 1 answered, 0 lost" in text
    assert "killed it again" in text
    assert "| bridge 99 | 1 | 50.0 | 90.0 | too short |" in text


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda found: found.accounts.request_is_over("500", 1.0), "1 requests failed"),
        (
            lambda found: found.accounts.request_is_over("503 overloaded", 1.0),
            "1 requests were refused, more than 3%",
        ),
        (lambda found: found.accounts.job_is_pushed("left"), "1 jobs lost: ['left']"),
        (lambda found: setattr(found.accounts, "answered", 0), "nothing was asked"),
        (lambda found: setattr(found, "wakes", 0), "never woken"),
        (lambda found: setattr(found, "still_awake", 3), "still awake 3 times"),
        (lambda found: found.kills.clear(), "0 of 2 processes were killed"),
        (grow, "the memory of the door (process 77) grows by 80 MiB/h, the bound is 60"),
        (shorten, "the slope of the controller is not known"),
    ],
)
def test_each_reason_is_told(spoil: Callable[[Found], None], words: str) -> None:
    found = good()
    spoil(found)
    [reason] = reasons(found, BOUND, 2, ROLES)
    assert words in reason
