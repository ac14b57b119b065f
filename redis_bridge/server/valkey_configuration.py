"""The configuration file of the embedded Valkey."""

import contextlib
import os
from pathlib import Path

import psutil

_CGROUP_LIMIT = Path("/sys/fs/cgroup/memory.max")

CLIENTS_BYTES = 2**30
"""Seven jobs of a 3840x2160 float32 frame at once."""

CONFIGURATION = """\
# Written at every start of the embedded Valkey; changes are lost.
bind {host}
port {port}
dir {folder}
logfile {log_file}
pidfile {pid_file}
daemonize yes
# The process keeps the command line by which it is recognised.
set-proc-title no
# A queue must never lose a job to make room for another.
maxmemory-policy noeviction
maxmemory {maxmemory_bytes}
# What clients are sending and have not finished, of all of them: the one with most is closed. A command takes its
# memory as soon as it says its length, and what is finished at the same time is written to the disk in one piece,
# before anybody else is answered.
maxmemory-clients {clients_bytes}
appendonly yes
appendfsync everysec
# Jobs are tens of megabytes: from the default of 64mb on, the file would be rewritten for every other one.
auto-aof-rewrite-min-size 1gb
save ""
"""


def half_of_memory_bytes(limit: Path = _CGROUP_LIMIT) -> int:
    """Half of the machine's memory, or of the container's where that has less (a cgroup's `memory.max`: bytes, or
    "max"). The models need the rest, and Ray kills them and the doors, not Valkey, when memory runs out."""
    memory_bytes = psutil.virtual_memory().total
    with contextlib.suppress(OSError, ValueError):
        memory_bytes = min(memory_bytes, int(limit.read_text()))
    return int(memory_bytes // 2)


def quoted(path: Path) -> str:
    """`path` as Valkey's configuration has it: what is not plain ASCII, a quote or a backslash, by number."""
    plain = (chr(byte) if 32 <= byte < 127 and byte not in b'"\\' else f"\\x{byte:02x}" for byte in os.fsencode(path))
    return f'"{"".join(plain)}"'
