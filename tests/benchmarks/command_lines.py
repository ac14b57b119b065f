"""Where the bench is started, and the command line of a process."""

from pathlib import Path

import psutil

ROOT = Path(__file__).parents[2]


def command_of(process: psutil.Process) -> str:
    """Its command line; nothing when it has ended."""
    try:
        return " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return ""
