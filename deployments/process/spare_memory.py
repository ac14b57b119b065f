"""How many more processes as large as this one the memory of its machine, or of its container, holds."""

from pathlib import Path

import psutil

RESERVE = 0.1
"""Part of the memory that stays free: for the page cache, and for what grows later."""

_CGROUP = Path("/sys/fs/cgroup")


def spare_memory_copies() -> float:
    """0 and more; not a whole number."""
    machine = psutil.virtual_memory()
    return copies(psutil.Process().memory_info().rss, machine.total, machine.available)


def copies(own_bytes: int, total_bytes: int, free_bytes: int, cgroup: Path = _CGROUP) -> float:
    """The same for given sizes. cgroup: where the limit of a container stands, if there is one."""
    try:
        limit_bytes = int((cgroup / "memory.max").read_text())
        used_bytes = int((cgroup / "memory.current").read_text())
    except (OSError, ValueError):
        pass
    else:
        total_bytes = min(total_bytes, limit_bytes)
        free_bytes = min(free_bytes, limit_bytes - used_bytes)
    return max(0.0, (free_bytes - RESERVE * total_bytes) / max(own_bytes, 1))
