"""What of this machine would keep Ray from starting, told before anything starts, or gone round where that can be.

Ray itself finds these out after a minute, in words about its own insides. Knows folders and limits; starts nothing.
"""

import os
import resource
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from serve_app.launcher.configuration.env_settings import SystemSettings
from serve_app.launcher.console import LaunchError

SHARED_MEMORY = Path("/dev/shm")
LONGEST_RAY_FOLDER = 39
"""Characters: a socket's name has 107 at most, and Ray adds up to 68 (the session, `sockets`, the longest name)."""

LONGEST_TMPDIR = 76
"""Characters: Python's own sockets between processes (multiprocessing) add 31."""

LEAST_OPEN_FILES = 1024
LEAST_FREE_BYTES = 200 * 2**20
"""Of the disk below Ray's folder and below the data folder: less is not enough to start."""

_PLAIN_TMP = "/tmp"
_TMPDIRS = ("RAY_TMPDIR", "TMPDIR")


def variables_for_folders(settings: SystemSettings, environ: Mapping[str, str]) -> dict[str, str]:
    """What to change in `environ` so that every folder that Ray is to use can be used.

    Raises LaunchError naming a folder that was asked for and cannot be used.
    """
    changes: dict[str, str] = {}
    tmpdir = environ.get("TMPDIR", "")
    if tmpdir and (len(os.fsencode(tmpdir)) > LONGEST_TMPDIR or not _is_usable(Path(tmpdir))):
        changes["TMPDIR"] = _PLAIN_TMP
    folder, setting = ray_folder(settings, environ)
    if setting in _TMPDIRS and _folder_trouble(folder):
        folder, setting = Path(_PLAIN_TMP) / "ray", ""
        changes["FATHOM_RAY_TEMP_DIR"] = str(folder)
    if trouble := _folder_trouble(folder):
        change = "set FATHOM_RAY_TEMP_DIR to another folder for Ray's sockets and logs"
        raise LaunchError(f"{f'{setting}: ' if setting else ''}{folder} {trouble}; {change}")
    return changes


def ray_folder(settings: SystemSettings, environ: Mapping[str, str]) -> tuple[Path, str]:
    """Where Ray keeps its sockets and logs, as it decides itself, and which variable says so; '' for none."""
    if settings.ray_temp_dir is not None:
        return settings.ray_temp_dir.absolute(), "FATHOM_RAY_TEMP_DIR"
    setting = next((name for name in _TMPDIRS if environ.get(name)), "")
    return Path(environ.get(setting) or _PLAIN_TMP).absolute() / "ray", setting


def refuse_small_limits() -> None:
    """Raises LaunchError when fewer files may be open than a system of the smallest kind needs."""
    _, hard_limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard_limit != resource.RLIM_INFINITY and hard_limit < LEAST_OPEN_FILES:
        raise LaunchError(
            f"a process may have {hard_limit} files open here and the system needs {LEAST_OPEN_FILES}; "
            "raise the hard limit (ulimit -Hn, or --ulimit nofile of a container)"
        )


def refuse_full_disk(folder: Path, setting: str, least_bytes: int = LEAST_FREE_BYTES) -> None:
    """Raises LaunchError when there is too little room below `folder`, which `setting` moves."""
    if trouble := _disk_trouble(folder, least_bytes):
        raise LaunchError(f"{folder} {trouble}; make room, or set {setting} to a folder elsewhere")


def object_store_options(ray_folder: Path, shared_memory: Path = SHARED_MEMORY) -> dict[str, Any]:
    """Keyword arguments of `ray.init`: files in Ray's folder, which are slower, where no shared memory is."""
    return {} if _is_usable(shared_memory) else {"_plasma_directory": str(ray_folder)}


def shared_memory_warning(shared_memory: Path = SHARED_MEMORY) -> str:
    """One line for a person when frames cannot go from process to process in memory; '' when they can.

    Raises LaunchError when there is no such folder at all, without which Ray does not start.
    """
    if not shared_memory.is_dir():
        raise LaunchError(f"{shared_memory} is missing and Ray does not start without it; mount a tmpfs there")
    if _is_usable(shared_memory):
        return ""
    return (
        f"{shared_memory} cannot be written: frames go from process to process through files, which is slower; "
        "mount it for writing (in a container: --shm-size)"
    )


def _is_usable(folder: Path) -> bool:
    return folder.is_dir() and os.access(folder, os.W_OK | os.X_OK)


def _folder_trouble(folder: Path) -> str:
    """Why Ray cannot work in `folder`; '' when it can."""
    size = len(os.fsencode(folder))
    if size > LONGEST_RAY_FOLDER:
        return f"has {size} characters and may have {LONGEST_RAY_FOLDER}, as names of sockets are limited"
    if any(letter.isspace() for letter in str(folder)):
        return "has a blank in its name, at which Ray divides command lines"
    there = next(parent for parent in (folder, *folder.parents) if parent.exists())
    if not _is_usable(there):
        return f"cannot be used ({there} is no folder that this user may write to)"
    return _disk_trouble(there)


def _disk_trouble(folder: Path, least_bytes: int = LEAST_FREE_BYTES) -> str:
    free_bytes = shutil.disk_usage(folder).free
    if free_bytes >= least_bytes:
        return ""
    return f"has {free_bytes // 2**20} MiB free and needs {least_bytes // 2**20}"
