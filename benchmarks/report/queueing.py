"""What waiting in a queue costs by itself. Pure calculation; knows no system and no clock.

A server that takes `service_s` for each request, one after the other, and has no other cost: what it cannot do at a
load, nobody who computes at its rate can do by serving better.
"""

from collections.abc import Iterable

import numpy as np

from benchmarks.load.open_loop import poisson_arrivals

_REQUESTS = 200_000
_SEED = 1909
"""Any will do; with this many requests p99 moves by some percent from one to another."""


def times_in_queue(arrivals_s: Iterable[float], service_s: float) -> list[float]:
    """Seconds from arrival to answer, in order (D. V. Lindley, "The theory of queues with a single server", 1952)."""
    free_at_s = 0.0
    spans_s: list[float] = []
    for arrived_at_s in arrivals_s:
        free_at_s = max(free_at_s, arrived_at_s) + service_s
        spans_s.append(free_at_s - arrived_at_s)
    return spans_s


def bare_p99_s(capacity_per_s: float, share: float) -> float:
    """p99 of such a server for Poisson arrivals at `share` of its capacity."""
    rate_per_s = share * capacity_per_s
    arrivals_s = poisson_arrivals(rate_per_s, _REQUESTS / rate_per_s, _SEED)
    return float(np.percentile(times_in_queue(arrivals_s, 1.0 / capacity_per_s), 99))
