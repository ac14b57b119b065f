"""Checks for what would keep Ray from starting on this machine: reported before anything starts, or worked around.

Ray itself notices after a minute, in terms of its own internals.
"""

import os
import resource
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil

from serve_app.access.key_ring import is_read_by_all, read_keys
from serve_app.access.keys import KeyFileError
from serve_app.launcher.configuration.env_settings import SystemSettings
from serve_app.launcher.console import LaunchError, say_error

SHARED_MEMORY = Path("/dev/shm")
LONGEST_RAY_FOLDER = 39
"""In characters: a socket's name may have 107, and Ray adds up to 68 (the session, `sockets`, the longest name)."""

LONGEST_TMPDIR = 76
"""In characters: Python's own sockets between processes (multiprocessing) add 31."""

LEAST_OPEN_FILES = 1024
LEAST_FILE_BYTES = 2 * 2**30
"""The embedded Valkey's append-only file is rewritten when it has doubled, from a gigabyte on."""

OBJECT_STORE_SHARE = 0.3
"""Of the memory: the size of the one file in which Ray keeps what processes share."""

LARGEST_SMALL_STORE_BYTES = 10**10
"""Where shared memory has less room than this, Ray fits its file to the memory, and puts it elsewhere if need be."""

LEAST_FREE_BYTES = 200 * 2**20
"""Free space that Ray's folder and the data folder each need for a start."""

_PLAIN_TMP = "/tmp"
_TMPDIRS = ("RAY_TMPDIR", "TMPDIR")


def variables_for_folders(settings: SystemSettings, environ: Mapping[str, str]) -> dict[str, str]:
    """What to change in `environ` so that Ray can use all of its folders.

    Raises LaunchError that names a folder which was asked for and cannot be used.
    """
    changes: dict[str, str] = {}
    tmpdir = environ.get("TMPDIR", "")
    if tmpdir and (len(os.fsencode(tmpdir)) > LONGEST_TMPDIR or not _is_usable(Path(tmpdir))):
        changes["TMPDIR"] = _PLAIN_TMP
    folder, setting = ray_folder(settings, environ)
    if setting in _TMPDIRS and _folder_reason(folder):
        folder, setting = Path(_PLAIN_TMP) / "ray", ""
        changes["FATHOM_RAY_TEMP_DIR"] = str(folder)
    if reason := _folder_reason(folder):
        change = "set FATHOM_RAY_TEMP_DIR to another folder for Ray's sockets and logs"
        raise LaunchError(f"{f'{setting}: ' if setting else ''}{folder} {reason}; {change}")
    return changes


def ray_folder(settings: SystemSettings, environ: Mapping[str, str]) -> tuple[Path, str]:
    """Where Ray keeps its sockets and logs, and the variable that says so; '' for none."""
    if settings.ray_temp_dir is not None:
        return settings.ray_temp_dir.absolute(), "FATHOM_RAY_TEMP_DIR"
    setting = next((name for name in _TMPDIRS if environ.get(name)), "")
    return Path(environ.get(setting) or _PLAIN_TMP).absolute() / "ray", setting


def refuse_bad_keys(file: Path | None) -> None:
    """Raises LaunchError when the file of API keys, if there is one, cannot be used: nobody could call then."""
    if file is None:
        return
    try:
        read_keys(file)
    except (OSError, KeyFileError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise LaunchError(f"FATHOM_API_KEYS_FILE: {file}: {reason}") from error
    if is_read_by_all(file):
        say_error(f"{file} can be read by every user: it has no keys in it, but says whose there are (chmod o-r)")


def refuse_small_limits() -> None:
    """Raises LaunchError when the limit of open files, or of a file's size, is below what the smallest system needs:
    the kernel ends a process that goes beyond the latter."""
    _, hard_limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard_limit != resource.RLIM_INFINITY and hard_limit < LEAST_OPEN_FILES:
        raise LaunchError(
            f"a process may have {hard_limit} files open here and the system needs {LEAST_OPEN_FILES}; "
            "raise the hard limit (ulimit -Hn, or --ulimit nofile of a container)"
        )
    largest_bytes, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
    least_bytes = max(LEAST_FILE_BYTES, int(psutil.virtual_memory().total * OBJECT_STORE_SHARE))
    if largest_bytes != resource.RLIM_INFINITY and largest_bytes < least_bytes:
        raise LaunchError(
            f"a file may have {largest_bytes // 2**20} MiB here and the system needs {least_bytes // 2**20}, for "
            "what its processes share and for the jobs in Redis; raise the limit (ulimit -f, or --ulimit fsize of a "
            "container)"
        )


def refuse_full_disk(folder: Path, setting: str, least_bytes: int = LEAST_FREE_BYTES) -> None:
    """Raises LaunchError when the disk of `folder`, which `setting` moves, is too full."""
    if reason := _disk_reason(folder, least_bytes):
        raise LaunchError(f"{folder} {reason}; make room, or set {setting} to a folder elsewhere")


def object_store_options(ray_folder: Path, shared_memory: Path = SHARED_MEMORY) -> dict[str, Any]:
    """Keyword arguments of `ray.init`: where there is no shared memory, files in Ray's folder, which are slower."""
    return {} if _is_usable(shared_memory) else {"_plasma_directory": str(ray_folder)}


def shared_memory_warning(shared_memory: Path = SHARED_MEMORY) -> str:
    """A line for the user when images cannot pass between processes in memory, as Ray decides; '' when they can.

    Raises LaunchError when there is no such folder at all: Ray does not start without it.
    """
    if not shared_memory.is_dir():
        raise LaunchError(f"{shared_memory} is missing and Ray does not start without it; mount a tmpfs there")
    if not _is_usable(shared_memory):
        return _through_files(f"{shared_memory} cannot be written", "mount it for writing")
    free_bytes = shutil.disk_usage(shared_memory).free
    needed_bytes = min(LARGEST_SMALL_STORE_BYTES, int(psutil.virtual_memory().available * OBJECT_STORE_SHARE))
    if free_bytes < needed_bytes:
        room = f"has {free_bytes // 2**20} MiB free, and Ray would use {needed_bytes // 2**20}"
        return _through_files(f"{shared_memory} {room}", "make it larger")
    return ""


def _through_files(reason: str, advice: str) -> str:
    slower = "images pass between processes through files, which is slower"
    return f"{reason}: {slower}; {advice} (in a container: --shm-size)"


def _is_usable(folder: Path) -> bool:
    return folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)


def _folder_reason(folder: Path) -> str:
    """Why Ray cannot work in `folder`; '' when it can."""
    size = len(os.fsencode(folder))
    if size > LONGEST_RAY_FOLDER:
        return f"has {size} characters and may have {LONGEST_RAY_FOLDER}, as names of sockets are limited"
    if any(letter.isspace() for letter in str(folder)):
        return "has a space in its name, at which Ray splits command lines"
    there = next(parent for parent in (folder, *folder.parents) if parent.exists())
    if not _is_usable(there):
        return f"cannot be used ({there} is not a folder that this user may write to)"
    return _disk_reason(there)


def _disk_reason(folder: Path, least_bytes: int = LEAST_FREE_BYTES) -> str:
    free_bytes = shutil.disk_usage(folder).free
    if free_bytes >= least_bytes:
        return ""
    return f"has {free_bytes // 2**20} MiB free and needs {least_bytes // 2**20}"
