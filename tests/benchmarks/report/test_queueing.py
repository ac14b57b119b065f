"""The bare queue, against what is known of it in closed form."""

import pytest

from benchmarks.load.open_loop import poisson_arrivals
from benchmarks.report.queueing import bare_p99_s, times_in_queue


def test_requests_wait_for_those_before_them() -> None:
    assert times_in_queue([0.0, 1.0, 1.5, 9.0], 2.0) == [2.0, 3.0, 4.5, 2.0]


def test_the_mean_is_that_of_pollaczek_and_khinchine() -> None:
    # Constant service, four fifths busy: a request waits for load / (2 (1 - load)) = 2 services, and has its own.
    spans_s = times_in_queue(poisson_arrivals(80.0, 5000.0, seed=3), 0.01)
    assert sum(spans_s) / len(spans_s) == pytest.approx(0.03, rel=0.05)


def test_the_tail_grows_with_the_load_and_with_the_service() -> None:
    assert bare_p99_s(100.0, 0.8) == pytest.approx(0.11, rel=0.15)
    assert bare_p99_s(50.0, 0.8) == pytest.approx(2 * bare_p99_s(100.0, 0.8))
    assert bare_p99_s(100.0, 0.3) < bare_p99_s(100.0, 0.8) / 2
