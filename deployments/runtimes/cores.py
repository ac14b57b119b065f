"""How many threads a batch is computed with, from what the replica was given."""

import os
from pathlib import Path

MOST_SHARED_THREADS = 8
"""Of a replica that shares the processor with others: more gain little for one image, and get in their way."""

_CGROUP_QUOTA = Path("/sys/fs/cgroup/cpu.max")


def threads_for(cpus: float) -> int:
    """Threads of a replica with `num_cpus: cpus`: whole processors are its own, and it uses just them. With a share
    of one it computes on whatever cores are free, as many as there are."""
    return int(cpus) if cpus >= 1 else min(usable_cores(), MOST_SHARED_THREADS)


def usable_cores(quota: Path = _CGROUP_QUOTA) -> int:
    """The cores that this process may use, at least 1: those it may run on, or fewer where its container has a
    quota (a cgroup's `cpu.max`: microseconds of work, or "max", in a period of microseconds)."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        work_us, period_us = quota.read_text().split()
        return max(1, min(cores, int(work_us) // int(period_us)))
    except (OSError, ValueError):
        return cores
