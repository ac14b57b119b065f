"""The launcher's log file: another process writes to it, and yet its size is bounded.

The writer has it open for appending, so it may be emptied meanwhile: the writer goes on at the new end.
"""

import contextlib
import os
import shutil
from pathlib import Path
from typing import IO

DEFAULT_MAX_BYTES = 64 * 2**20


def open_log(path: Path) -> IO[bytes]:
    """`path`, empty, for a process to append to. What an earlier run wrote is kept beside it."""
    with contextlib.suppress(FileNotFoundError):
        if path.stat().st_size:
            os.replace(path, earlier(path))
    return path.open("ab")


def keep_small(path: Path, max_bytes: int) -> None:
    """Empties a log of more than `max_bytes`; its content replaces what was kept beside it before.

    A line that is written while the content is copied is copied too; only what comes in the instant between the last
    look and the emptying may be lost.
    """
    with contextlib.suppress(OSError):
        if path.stat().st_size > max_bytes:
            with path.open("rb") as written, earlier(path).open("wb") as kept:
                while os.fstat(written.fileno()).st_size > written.tell():
                    shutil.copyfileobj(written, kept)
                os.truncate(path, 0)


def earlier(path: Path) -> Path:
    """Where the lines before those of `path` are."""
    return path.with_name(f"{path.name}.1")
