"""The configuration file of the embedded Valkey."""

import os
from pathlib import Path

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
appendonly yes
appendfsync everysec
# Jobs are tens of megabytes: from the default of 64mb on, the file would be rewritten for every other one.
auto-aof-rewrite-min-size 1gb
save ""
"""


def quoted(path: Path) -> str:
    """`path` as Valkey's configuration has it: what is not plain ASCII, a quote or a backslash, by number."""
    plain = (chr(byte) if 32 <= byte < 127 and byte not in b'"\\' else f"\\x{byte:02x}" for byte in os.fsencode(path))
    return f'"{"".join(plain)}"'
