"""How the memory of a system's processes changes over time. Knows processes and their roles, and no system.

What counts is the memory that a process has for itself: pages of Ray's object store, which all its processes
share, are no leak of the one that touched them.
"""

import contextlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import psutil

from benchmarks.machine.usage import role_of

ROLES = ("controller", "door", "bridge", "valkey")
"""Of the processes that are watched."""

MIB = 2**20
LEAST_SAMPLES = 10
"""Fewer say nothing of a slope."""


def slope_per_h(at_s: Sequence[float], values: Sequence[float]) -> float:
    """The slope of `values` over time, per hour: the median of the slopes between any two of them (Theil-Sen).

    A line of least squares would follow a few peaks, such as a garbage collection that came late. Raises ValueError
    when there are not two moments.
    """
    times, heights = np.asarray(at_s, float), np.asarray(values, float)
    first, second = np.triu_indices(len(times), 1)
    gaps = times[second] - times[first]
    apart = gaps > 0
    if not apart.any():
        raise ValueError("a slope needs values at two moments")
    return float(np.median((heights[second] - heights[first])[apart] / gaps[apart])) * 3600


@dataclass(frozen=True, slots=True)
class Trend:
    """One process's memory, after its warm-up. slope_mib_per_h: None when it was not there for as long again."""

    role: str
    pid: int
    minutes: float
    first_mib: float
    last_mib: float
    slope_mib_per_h: float | None


@dataclass(slots=True)
class _Series:
    role: str
    pid: int
    at_s: list[float] = field(default_factory=list)
    mib: list[float] = field(default_factory=list)

    def trend(self, warm_s: float) -> Trend:
        warm = [number for number, at_s in enumerate(self.at_s) if at_s - self.at_s[0] >= warm_s]
        # In a minute or two, one garbage collection makes a slope of any size.
        is_known = len(warm) >= LEAST_SAMPLES and self.at_s[-1] - self.at_s[warm[0]] >= warm_s
        counted = warm if is_known else []
        at_s, mib = [self.at_s[number] for number in counted], [self.mib[number] for number in counted]
        slope = slope_per_h(at_s, mib) if counted else None
        shown = mib or self.mib
        return Trend(self.role, self.pid, (self.at_s[-1] - self.at_s[0]) / 60, shown[0], shown[-1], slope)


def own_bytes(process: psutil.Process) -> int:
    """What the process has for itself: anonymous memory, which no file holds. Raises psutil.Error.

    Not psutil's USS: when one of two processes ends, the pages of a library that both have used count as the other's.
    """
    memory = process.memory_info()
    return int(memory.rss - memory.shared)


class MemoryWatch:
    """Samples of the processes of some roles. A process that replaces a killed one begins a series of its own."""

    def __init__(self, roles: Iterable[str] = ROLES) -> None:
        self._roles = tuple(roles)
        self._series: dict[tuple[int, float], _Series] = {}

    def sample(self, processes: Iterable[psutil.Process], now_s: float) -> None:
        """Notes what each of `processes` holds now; those that have ended are left out."""
        for process in processes:
            with contextlib.suppress(psutil.Error):
                role = role_of(process.cmdline() or [process.name()])
                if role in self._roles:
                    key = (process.pid, process.create_time())
                    series = self._series.setdefault(key, _Series(role, process.pid))
                    mib = own_bytes(process) / MIB
                    series.at_s.append(now_s)
                    series.mib.append(mib)

    def trends(self, warm_s: float) -> list[Trend]:
        """One for each process, in the order of the roles. warm_s: left out at the begin of each."""
        found = [series.trend(warm_s) for series in self._series.values() if series.at_s]
        return sorted(found, key=lambda one: (self._roles.index(one.role), one.pid))
