"""The image files that a command line names: files, folders, patterns."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from fathom_client.command.console import UsageError

SUFFIXES = frozenset(
    (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".tif", ".tiff", ".gif", ".ppm", ".pgm", ".pbm", ".jfif")
)
"""What is taken from a folder; a file that is named itself may have any name."""


@dataclass(frozen=True, slots=True)
class Source:
    """An image file. name: its path as the command line has it, by which answers name it. place: where its answer
    lies in a folder of answers, without an ending."""

    path: Path
    name: str
    place: Path


def sources_of(arguments: Sequence[str], not_in: Path | None = None) -> list[Source]:
    """Each file once, folders and patterns in the order of their names. not_in: a folder of answers, which may lie
    within a folder of images. Raises UsageError where there is nothing."""
    found = {source.name: source for argument in arguments for source in _of(argument)}
    kept = list(found.values())
    if not_in is not None and not_in.resolve() not in {Path(argument).resolve() for argument in arguments}:
        kept = [source for source in kept if not _lies_in(source.path, not_in)]
    if not kept:
        raise UsageError(f"no images in {', '.join(arguments)}")
    return kept


def _of(argument: str) -> Iterator[Source]:
    path = Path(argument)
    if path.is_dir():
        files = list(_images_below(path))
        if not files:
            raise UsageError(
                f"{argument}: no images in this folder (it is searched for {', '.join(sorted(SUFFIXES))})"
            )
        yield from (_source(file, file.relative_to(path)) for file in files)
    elif path.exists() or not glob.has_magic(argument):
        # One that is missing is told as a failure of its own, so that the others are done.
        yield _source(path, Path(path.name))
    else:
        files = [Path(file) for file in sorted(glob.glob(argument, recursive=True)) if os.path.isfile(file)]
        if not files:
            raise UsageError(f"{argument}: no file has such a name")
        root = Path(*_steps_before_magic(path.parts[:-1]))
        yield from (_source(file, file.relative_to(root)) for file in files)


def _steps_before_magic(parts: Iterable[str]) -> Iterator[str]:
    for part in parts:
        if glob.has_magic(part):
            return
        yield part


def _images_below(folder: Path) -> Iterator[Path]:
    """Without hidden files and folders: a Mac leaves `._frame.jpg` beside each frame on a foreign disk."""
    for parent, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            if not name.startswith(".") and Path(name).suffix.lower() in SUFFIXES:
                path = Path(parent, name)
                # Whoever opens a pipe waits until somebody writes. What a broken link names is told as missing.
                if path.is_file() or not path.exists():
                    yield path


def _source(path: Path, place: Path) -> Source:
    return Source(path, path.as_posix(), place)


def _lies_in(path: Path, folder: Path) -> bool:
    return folder.resolve() in path.resolve().parents
