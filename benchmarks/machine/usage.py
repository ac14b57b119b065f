"""What a system's processes use: CPU seconds and memory by role. Knows /proc and the names that processes give
themselves; starts and stops nothing.

A system's processes are the descendants of the one that was started, and whoever carries the run's mark in the
environment: a server in a session of its own may have lost its parent.
"""

import contextlib
import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import psutil

MARK = "BENCH_SYSTEM"
"""Environment variable that marks all processes of one started system."""

_ROLES = (
    ("ServeController", "controller"),
    ("ProxyActor", "proxy"),
    ("haproxy", "proxy"),
    ("HAProxy", "proxy"),
    (":Door", "door"),
    (":Ingress", "door"),
    ("Bridge", "bridge"),
    (":Model", "model"),
    (":Detector", "model"),
    ("EmbeddedValkey", "valkey keeper"),
    ("valkey-server", "valkey"),
    ("redis-server", "valkey"),
    ("raylet", "raylet"),
    ("gcs_server", "gcs"),
    ("log_monitor", "ray agents"),
    ("dashboard", "ray agents"),
    ("runtime_env", "ray agents"),
    ("Agent", "ray agents"),
    ("monitor.py", "ray agents"),
    ("ray::", "ray other"),
    ("fork_server", "fork server"),
    ("legacy_worker", "worker"),
    ("floor_worker", "worker"),
    ("limit.worker", "worker"),
    ("uvicorn", "server"),
    ("multiprocessing", "server"),
    ("serve_app", "launcher"),
    ("benchmarks.systems", "launcher"),
)


_BUSY = ("user", "nice", "system", "irq", "softirq", "steal")


@dataclass(frozen=True, slots=True)
class MachineTime:
    """What the whole machine has been busy with, in core seconds, at a moment of the monotonic clock."""

    busy_s: float
    at_s: float

    @classmethod
    def now(cls) -> "MachineTime":
        """The machine now."""
        times = psutil.cpu_times()
        return cls(sum(getattr(times, name, 0.0) for name in _BUSY), time.monotonic())

    def cores_of_others(self, later: "MachineTime", accounted_s: float) -> float:
        """Cores that were busy until `later` with anything else than `accounted_s` core seconds."""
        return max(0.0, later.busy_s - self.busy_s - accounted_s) / max(1e-9, later.at_s - self.at_s)


@dataclass(frozen=True, slots=True)
class Usage:
    """cpu_s: by process id, with the role.  peak_bytes: the sum of each process's own peak since `forget_peaks`;
    pages that processes share count for each of them."""

    cpu_s: dict[int, tuple[str, float]]
    peak_bytes: int


def role_of(command_line: Iterable[str]) -> str:
    """The role of a process by its command line; 'other' when it says nothing."""
    text = " ".join(command_line)
    return next((role for word, role in _ROLES if word in text), "other")


def processes_of(root: int | None, mark: str) -> list[psutil.Process]:
    """The living processes of a system. root: the process that was started, if it still lives."""
    found: dict[int, psutil.Process] = {}
    if root is not None:
        with contextlib.suppress(psutil.NoSuchProcess):
            parent = psutil.Process(root)
            found = {process.pid: process for process in [parent, *parent.children(recursive=True)]}
    found |= {process.pid: process for process in processes_marked(lambda other: other == mark)}
    return [process for process in found.values() if _lives(process)]


def processes_marked(is_wanted: Callable[[str], bool]) -> list[psutil.Process]:
    """The processes whose environment has a wanted mark."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if is_wanted(process.environ().get(MARK, "")):
                found.append(process)
    return found


def usage_of(processes: Iterable[psutil.Process]) -> Usage:
    """What `processes` have used until now; those that have ended are left out."""
    cpu_s: dict[int, tuple[str, float]] = {}
    peak_bytes = 0
    for process in processes:
        with contextlib.suppress(psutil.Error, OSError):
            times = process.cpu_times()
            cpu_s[process.pid] = (role_of(process.cmdline() or [process.name()]), times.user + times.system)
            peak_bytes += _peak_bytes(process.pid)
    return Usage(cpu_s, peak_bytes)


def cpu_by_role(before: Usage, after: Usage) -> dict[str, float]:
    """CPU seconds between two readings, by role, largest first. A process that is new counts from its start."""
    spent: dict[str, float] = defaultdict(float)
    for pid, (role, seconds) in after.cpu_s.items():
        spent[role] += seconds - before.cpu_s.get(pid, (role, 0.0))[1]
    return dict(sorted(spent.items(), key=lambda item: -item[1]))


def forget_peaks(processes: Iterable[psutil.Process]) -> None:
    """Sets each process's peak to what it holds now (Linux: 5 into /proc/<pid>/clear_refs)."""
    for process in processes:
        with contextlib.suppress(OSError):
            Path(f"/proc/{process.pid}/clear_refs").write_text("5", encoding="ascii")


def _peak_bytes(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii", errors="replace").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    return 0


def _lives(process: psutil.Process) -> bool:
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False
