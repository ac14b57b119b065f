"""The keys that count now: those of a file that may change at any time."""

import asyncio
import contextlib
import logging
import os
import stat
import time
from collections.abc import Callable
from pathlib import Path

from deployments.logs import OWN_LOGGER
from serve_app.access.keys import MAX_FILE_BYTES, KeyFileError, Keys, parse_keys

logger = logging.getLogger(OWN_LOGGER)

LOOK_PERIOD_S = 1.0
"""Between two looks at the file; there are none while nobody asks."""

PATIENCE_S = 2.0
"""With a disk that does not answer. The keys from before go on then."""


def read_keys(path: Path) -> Keys:
    """The keys in the file. Raises OSError, and KeyFileError, also for a file that others could change: whoever can
    write to it makes keys. That others can read it does no harm, as it holds digests only."""
    # Not a pipe, which would make whoever opens it wait.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise KeyFileError("is not a file")
        if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise KeyFileError("others may write to it; take that away: chmod go-w")
        return parse_keys(file.read(MAX_FILE_BYTES + 1))


class KeyRing:
    """Looks at the file when it is asked, at most once in LOOK_PERIOD_S. A file that is broken, or gone, takes no key
    away: the last good one counts until it is right again. Where there never was one, there is no key."""

    def __init__(
        self,
        path: Path,
        clock: Callable[[], float] = time.monotonic,
        read: Callable[[Path], Keys] = read_keys,
    ) -> None:
        self._path = path
        self._read = read
        self._clock = clock
        self._seen: object = None
        self._keys: Keys | None = None
        self._fault = ""
        self._look_at_s = -1.0
        self._looking: asyncio.Task[None] | None = None
        self._look()

    @property
    def fault(self) -> str:
        """What is wrong with the file; '' when nothing is."""
        return self._fault

    @property
    def was_read(self) -> bool:
        """Whether the file was ever a good one."""
        return self._keys is not None

    def look_soon(self) -> "asyncio.Task[None] | None":
        """Looks at the file in a thread, if it is time to; None where it is not. Needs an event loop."""
        if self._clock() < self._look_at_s:
            return None
        if self._looking is None or self._looking.done():
            self._looking = asyncio.create_task(asyncio.to_thread(self._look))
        return self._looking

    async def keys(self) -> Keys:
        """Those that count: at most LOOK_PERIOD_S old."""
        if looking := self.look_soon():
            _, late = await asyncio.wait({looking}, timeout=PATIENCE_S)
            if late:  # whoever asks next does not wait as long again
                self._look_at_s = self._clock() + LOOK_PERIOD_S
        return self._keys or Keys()

    def _look(self) -> None:
        try:
            found = os.stat(self._path)
            seen: object = (found.st_mtime_ns, found.st_size, found.st_ino, found.st_mode)
            if seen != self._seen:
                self._seen = seen
                keys = self._read(self._path)
                self._tell("")
                self._keys = keys
        except KeyFileError as error:
            self._tell(f"{self._path}: {error}")
        except OSError as error:
            self._seen = None  # it may be there again as it was
            self._tell(f"{self._path}: {error.strerror or type(error).__name__}")
        self._look_at_s = self._clock() + LOOK_PERIOD_S

    def _tell(self, fault: str) -> None:
        if fault and fault != self._fault:
            kept = "the keys from before go on" if self.was_read else "nobody may call"
            logger.warning("the file of API keys cannot be used, %s: %s", kept, fault)
        elif self._fault and not fault:
            logger.warning("the file of API keys is right again: %s", self._path)
        self._fault = fault


def is_read_by_all(path: Path) -> bool:
    """Whether every user of the machine can read the file; False where it is not there."""
    with contextlib.suppress(OSError):
        return bool(os.stat(path).st_mode & stat.S_IROTH)
    return False
