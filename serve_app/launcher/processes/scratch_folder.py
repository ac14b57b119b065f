"""Folders for sockets that are removed with their system, even one that was killed.

Whoever works with a folder holds a shared lock on it: the launcher that made it, and its child, which may outlive
it. A folder without a lock was left by a system that was killed, and the next system removes it. `filelock` has no
shared locks on a folder that last as long as their process, so `flock` is used directly.
"""

import contextlib
import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

_PREFIX = "fathom-"
_MARK = "scratch-of-fathomnet-serve"
"""A file by which a folder is recognised as one of ours, whatever else has such a name."""

_NEW_S = 60.0
"""The child of a launcher that has just been killed may not have locked its folder yet."""


@contextmanager
def scratch_folder(parent: str) -> Iterator[Path]:
    """A new folder in `parent` for its owner only, which is removed in the end. Raises OSError.

    Also removes what killed systems of this user have left in `parent`.
    """
    _remove_abandoned(Path(parent))
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
    try:
        with held(folder):
            (folder / _MARK).touch()
            yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def short_folder(environ: Mapping[str, str]) -> str:
    """Where a scratch folder may hold sockets, whose names have 107 characters at most: the user's own folder for
    such, or else /tmp. Of the data folder's name, which a user chooses, too little is left: Serve adds the 56 digits
    of a node's id to the names of HAProxy's sockets."""
    runtime_dir = environ.get("XDG_RUNTIME_DIR", "")
    fits = 0 < len(runtime_dir) <= len("/run/user/1000") and os.access(runtime_dir, os.W_OK)
    return runtime_dir if fits else "/tmp"


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Keeps others from removing `folder` meanwhile. Raises OSError when it is not there."""
    with _opened(folder) as descriptor:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        yield


def is_scratch(folder: Path) -> bool:
    """Whether `folder` was made by `scratch_folder`, for this user."""
    try:
        return (folder / _MARK).lstat().st_uid == os.getuid()
    except OSError:
        return False


def remove_if_free(folder: Path) -> None:
    """Removes `folder` unless a process holds it, or it is not one of ours."""
    with contextlib.suppress(OSError), _opened(folder) as descriptor:
        if not is_scratch(folder):
            return
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder, ignore_errors=True)


def _remove_abandoned(parent: Path) -> None:
    for folder in parent.glob(f"{_PREFIX}*"):
        with contextlib.suppress(OSError):
            mark = (folder / _MARK).lstat()
            if mark.st_uid == os.getuid() and time.time() - mark.st_mtime > _NEW_S:
                remove_if_free(folder)


@contextmanager
def _opened(folder: Path) -> Iterator[int]:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
