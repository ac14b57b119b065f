"""The folder of a running system, and the record in it by which `deploy`, `add`, `remove` and `status` find it and
the settings of its start. It holds no secret.
"""

import errno
import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

import psutil
from filelock import FileLock

from serve_app.launcher.configuration.env_settings import API_KEY, PREFIX
from serve_app.launcher.configuration.ray_variables import REDIS_URL
from serve_app.launcher.console import LaunchError

_RECORD = "system.json"
_KEPT_FOR_RAY = ("RAY_ADDRESS", "RAY_AUTH_MODE", "RAY_SERVE_ENABLE_HA_PROXY")


@dataclass(frozen=True, slots=True)
class RunRecord:
    """What the launcher recorded at its start. `pid` and `started_at_s` together name one process."""

    pid: int = 0

    started_at_s: float = 0.0
    """Unix time."""

    environment: Mapping[str, str] = field(default_factory=dict)
    """The FATHOM_... variables, and those of Ray that a change must know."""

    has_real_redis: bool = False
    """Whether REDIS_URL was set; its value is a secret and is not recorded."""


def open_folder(folder: Path) -> None:
    """Makes `folder` for its owner only, if it is new. Raises LaunchError when that is not allowed."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        raise LaunchError(
            f"{folder}: cannot be used ({error.strerror}); set FATHOM_DATA_DIR to a folder that can"
        ) from error


def write_record(folder: Path, environ: Mapping[str, str]) -> None:
    """Records this process, with those of its variables that are not secret, as the system of `folder`."""
    kept = {name: value for name, value in environ.items() if name.startswith(PREFIX) or name in _KEPT_FOR_RAY}
    kept.pop(API_KEY, None)
    process = psutil.Process()
    record = RunRecord(process.pid, process.create_time(), kept, bool(environ.get(REDIS_URL.name)))
    (folder / _RECORD).write_text(json.dumps(asdict(record)), encoding="utf-8")


def read_record(folder: Path) -> RunRecord:
    """The record in `folder`; an empty one when there is none or when its process has ended."""
    try:
        record = RunRecord(**json.loads((folder / _RECORD).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return RunRecord()
    try:
        lives = psutil.Process(record.pid).create_time() == record.started_at_s
    except (psutil.Error, ValueError):
        lives = False
    return record if lives else RunRecord()


def remove_record(folder: Path) -> None:
    """Forgets the system of `folder`."""
    (folder / _RECORD).unlink(missing_ok=True)


@contextmanager
def one_change_at_a_time(folder: Path) -> Iterator[Callable[[], bool]]:
    """Holds a file lock: a change reads the running configuration, edits it and writes it back.

    Whoever then waits for the outcome does so without the lock, so that a change which takes long, or never ends
    well, can be taken back meanwhile: what this gives says whether another change has followed.
    """
    open_folder(folder)
    last = folder / "change.last"
    with FileLock(folder / "change.lock"):
        # Its time alone is used: a full disk must not keep anybody from a change.
        last.touch()
        changed_at_ns = last.stat().st_mtime_ns
        yield lambda: last.stat().st_mtime_ns != changed_at_ns
