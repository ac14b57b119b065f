"""The folder of a running system, and the note in it by which `deploy`, `add`, `remove` and `status` find the
system and render for it as it was rendered for at its start. Holds no secret.
"""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from fcntl import LOCK_EX, flock
from pathlib import Path

import psutil

from serve_app.environment import PREFIX, REDIS_URL

_RECORD = "system.json"
_KEPT_FOR_RAY = "RAY_AUTH_MODE"


@dataclass(frozen=True, slots=True)
class RunRecord:
    """What the launcher noted at its start. environment: the FATHOM_... variables and RAY_AUTH_MODE that it used.

    has_real_redis: whether REDIS_URL was set; its value is a secret and not noted.
    """

    pid: int = 0
    environment: Mapping[str, str] = field(default_factory=dict)
    has_real_redis: bool = False


def open_folder(data_dir: Path) -> Path:
    """The absolute path of `data_dir`, made for its owner only if it is new."""
    folder = data_dir.absolute()
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder


def write_record(folder: Path, environ: Mapping[str, str]) -> None:
    """Notes this process, with those of its variables that are no secrets, as the system of `folder`."""
    kept = {name: value for name, value in environ.items() if name.startswith(PREFIX) or name == _KEPT_FOR_RAY}
    record = {"pid": os.getpid(), "environment": kept, "has_real_redis": bool(environ.get(REDIS_URL.name))}
    (folder / _RECORD).write_text(json.dumps(record), encoding="utf-8")


def read_record(data_dir: Path) -> RunRecord:
    """The note in `data_dir`; an empty one when there is none or when its process has ended."""
    try:
        record = RunRecord(**json.loads((data_dir / _RECORD).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return RunRecord()
    return record if psutil.pid_exists(record.pid) else RunRecord()


def remove_record(folder: Path) -> None:
    """Forgets the system of `folder`."""
    (folder / _RECORD).unlink(missing_ok=True)


@contextmanager
def one_change_at_a_time(data_dir: Path) -> Iterator[None]:
    """Holds a file lock, as a change reads the running configuration, edits it and writes it back."""
    with (open_folder(data_dir) / "change.lock").open("w") as lock:
        flock(lock, LOCK_EX)
        yield
