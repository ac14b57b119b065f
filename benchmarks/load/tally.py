"""What one stretch of load showed: counts by status, latencies, and the generator's own lag and cost.

Pure arithmetic; knows no socket and no system.
"""

from array import array
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

OK = "200"
TIMEOUT = "timeout"
LOST = "connection lost"
BROKEN = "broken answer"


@dataclass(slots=True)
class Tally:
    """Filled while a load runs.

    statuses: what became of the requests of the counted window, by HTTP status or one of the words above.
    latencies_s: of answers with 200.  refusal_latencies_s: of all other answers.  lags_s: how late the
    generator itself sent a request for which a connection was free.  ok_in_window: answers with 200 that came
    within the window.  ok_total: all answers with 200, before and after the window too.
    """

    statuses: Counter[str] = field(default_factory=Counter)
    latencies_s: "array[float]" = field(default_factory=lambda: array("d"))
    refusal_latencies_s: "array[float]" = field(default_factory=lambda: array("d"))
    lags_s: "array[float]" = field(default_factory=lambda: array("d"))
    ok_in_window: int = 0
    ok_total: int = 0
    requests_total: int = 0
    own_cpu_s: float = 0.0

    def count(self, status: str, latency_s: float) -> None:
        """One request of the window is over."""
        self.statuses[status] += 1
        if status == OK:
            self.latencies_s.append(latency_s)
        elif status.isdigit():
            self.refusal_latencies_s.append(latency_s)


@dataclass(frozen=True, slots=True)
class Latency:
    """Percentiles in milliseconds; None where nothing was answered."""

    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None

    @classmethod
    def of(cls, seconds: Sequence[float]) -> "Latency":
        """The percentiles of `seconds`, with linear interpolation."""
        if not len(seconds):
            return cls(None, None, None)
        p50, p95, p99 = (float(value) * 1000 for value in np.percentile(np.asarray(seconds), (50, 95, 99)))
        return cls(p50, p95, p99)


@dataclass(frozen=True, slots=True)
class LoadFigures:
    """One stretch of load in figures. offered_per_s: arrivals of an open loop; None for a closed one."""

    requests_per_s: float
    offered_per_s: float | None
    statuses: dict[str, int]
    latency: Latency
    refusal_latency: Latency
    lag_p99_ms: float | None
    generator_cpu_ms: float

    @classmethod
    def of(cls, tally: Tally, seconds: float, is_open: bool) -> "LoadFigures":
        """The figures of a window of `seconds`."""
        return cls(
            requests_per_s=tally.ok_in_window / seconds,
            offered_per_s=sum(tally.statuses.values()) / seconds if is_open else None,
            statuses=dict(sorted(tally.statuses.items())),
            latency=Latency.of(tally.latencies_s),
            refusal_latency=Latency.of(tally.refusal_latencies_s),
            lag_p99_ms=Latency.of(tally.lags_s).p99_ms if is_open else None,
            generator_cpu_ms=1000 * tally.own_cpu_s / max(1, tally.requests_total),
        )
