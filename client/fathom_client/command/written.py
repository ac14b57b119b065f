"""Files that are whole or not there, and the record of a run."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from fathom_client.command.console import UsageError


def write_whole(path: Path, content: bytes) -> None:
    """Beside its place first, and renamed when it is complete."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # Not named after its place, whose name may be as long as a name can be.
    beside = path.with_name(f".fathom-{os.getpid()}.part")
    try:
        beside.write_bytes(content)
        beside.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            beside.unlink()
        raise


def whole_lines(path: Path) -> Iterator[tuple[int, Any]]:
    """The lines of a file of JSON lines, each with where it ends, in bytes; without a last one that was cut off.
    Raises UsageError for a file of another kind."""
    end = 0
    with path.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            is_whole = line.endswith(b"\n")
            try:
                document = json.loads(line) if is_whole else None
            except (ValueError, RecursionError):
                document = None
            if not is_whole and line.startswith(b"{"):
                return
            end += len(line)
            if not isinstance(document, dict):
                raise UsageError(f"{path}, line {number}: these are no JSON lines of `fathom predict`")
            yield end, document


def opened_at(path: Path, end: int | None) -> IO[bytes]:
    """To be written from `end` on; None: from the beginning, whatever is there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    stream = path.open("wb" if end is None else "r+b")
    stream.truncate(end or 0)
    stream.seek(end or 0)
    return stream


def append(stream: IO[bytes], members: Mapping[str, Any]) -> None:
    """A line of JSON, at once: a reader of a pipe sees it, and nothing is lost."""
    stream.write(json.dumps(members).encode() + b"\n")
    stream.flush()


@dataclass(frozen=True, slots=True)
class Asked:
    """What a run asks of every image. A run is only resumed for the same."""

    model: str
    file_format: str
    options: Mapping[str, Any] = field(default_factory=dict)

    def members(self) -> dict[str, Any]:
        """As JSON."""
        return {"model": self.model, "format": self.file_format, "options": dict(self.options)}

    def must_be(self, members: Mapping[str, Any], place: Path) -> None:
        """Raises UsageError where a run began with something else."""
        own = json.loads(json.dumps(self.members()))
        other = [name for name, value in own.items() if members.get(name) != value]
        if other:
            began = {name: members.get(name) for name in other}
            raise UsageError(f"{place} was begun with other settings: {json.dumps(began)}")
