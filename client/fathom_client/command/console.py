"""What the command says, and how it ends."""

from __future__ import annotations

import contextlib
import os
import sys
from typing import TextIO

EXIT_DONE = 0
EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_NOT_REACHABLE = 3
EXIT_INTERRUPTED = 130


class UsageError(Exception):
    """What was asked for on the command line cannot be done; said before anything is written."""


def say(text: str) -> None:
    """One or more lines on standard output."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def say_error(text: str) -> None:
    """One or more lines on standard error."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def tolerate_any_text() -> None:
    """A file name may hold what a terminal cannot show; then its number is shown."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(AttributeError):
            stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]


def nobody_reads(stream: TextIO) -> None:
    """After a broken pipe: what is left in the stream's buffer would raise again at the end of the process."""
    with open(os.devnull, "w") as nowhere, contextlib.suppress(OSError, ValueError):
        os.dup2(nowhere.fileno(), stream.fileno())
