"""Bounds a folder to which many processes write a log each: every replica that is woken begins some of its own."""

import contextlib
import os
import stat
import threading
from collections.abc import Iterator
from pathlib import Path

DEFAULT_MAX_BYTES = 2 * 2**30
SWEEP_INTERVAL_S = 60.0
_LEFT = 0.8
"""Part of the limit that is left, so that not every new line is followed by a removal."""


def keep_swept(folder: Path, max_bytes: int, interval_s: float = SWEEP_INTERVAL_S) -> threading.Event:
    """From now on `sweep` is called in the background, until the event that is returned is set."""
    stop = threading.Event()

    def work() -> None:
        while not stop.wait(interval_s):
            sweep(folder, max_bytes)

    threading.Thread(target=work, name="log sweeper", daemon=True).start()
    return stop


def sweep(folder: Path, max_bytes: int) -> None:
    """Removes the oldest files below `folder` while all together have more than `max_bytes`. A file that a process
    has open stays: what is written to it later would be lost."""
    files = sorted(_files(folder), key=lambda file: file[1].st_mtime)
    total = sum(status.st_size for _, status in files)
    if total <= max_bytes:
        return
    in_use = _open_files()
    for path, status in files:
        if total <= max_bytes * _LEFT:
            return
        if (status.st_dev, status.st_ino) not in in_use:
            with contextlib.suppress(OSError):
                path.unlink()
                total -= status.st_size


def _files(folder: Path) -> Iterator[tuple[Path, os.stat_result]]:
    for parent, _, names in os.walk(folder):
        for name in names:
            path = Path(parent, name)
            with contextlib.suppress(OSError):
                status = path.lstat()
                if stat.S_ISREG(status.st_mode):
                    yield path, status


def _open_files() -> set[tuple[int, int]]:
    """Device and inode of what the processes of this user have open."""
    found = set()
    for process in Path("/proc").iterdir():
        if process.name.isdecimal():
            with contextlib.suppress(OSError):
                for descriptor in (process / "fd").iterdir():
                    with contextlib.suppress(OSError):
                        status = descriptor.stat()
                        found.add((status.st_dev, status.st_ino))
    return found
