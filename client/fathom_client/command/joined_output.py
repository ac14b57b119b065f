"""One file for all images: the answers lie in a folder beside it until the last one is there."""

from __future__ import annotations

import hashlib
import shutil
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from fathom_client.command.inputs import Source
from fathom_client.command.joining import Part, join
from fathom_client.command.outputs import Answer, Folder
from fathom_client.command.written import Asked, write_whole
from fathom_client.system import Exported


class Joined:
    """Written when the run ends, complete or not; the folder of parts stays while something is missing."""

    def __init__(self, path: Path, asked: Asked, sources: Sequence[Source], resume: bool) -> None:
        self._path = path
        self._asked = asked
        self._sources = sources
        self._folder = parts_of(path)
        self._parts = Folder(self._folder, asked, [_as_part(source) for source in sources], resume)

    @property
    def done(self) -> set[str]:
        """Those that have a part."""
        return self._parts.done

    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None:
        self._parts.__exit__()
        done = self.done
        parts = [
            Part(number, source.name, (self._folder / self._parts.files[source.name]).read_bytes())
            for number, source in enumerate(self._sources, 1)
            if source.name in done
        ]
        if parts:
            write_whole(self._path, join(self._asked.file_format, parts))
        if parts and len(parts) == len(self._sources):
            shutil.rmtree(self._folder)

    def add(self, source: Source, answer: Answer) -> None:
        """As a part."""
        self._parts.add(_as_part(source), answer)


class JoinedInMemory:
    """The same for standard output, where nothing can be resumed."""

    def __init__(self, asked: Asked, sources: Sequence[Source]) -> None:
        self.done: set[str] = set()
        self._asked = asked
        self._numbers = {source.name: number for number, source in enumerate(sources, 1)}
        self._parts: list[Part] = []

    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None:
        if self._parts:
            sys.stdout.buffer.write(join(self._asked.file_format, self._parts))
            sys.stdout.buffer.flush()

    def add(self, source: Source, answer: Answer) -> None:
        """They come in the order of the sources."""
        assert isinstance(answer, Exported)
        self._parts.append(Part(self._numbers[source.name], source.name, answer.content))


def parts_of(path: Path) -> Path:
    """The folder in which the parts of this file lie."""
    return path.with_name(f"{path.name}.parts")


def _as_part(source: Source) -> Source:
    """Under a short name of its own, whatever its path is called."""
    name = hashlib.sha256(source.name.encode("utf-8", "surrogateescape")).hexdigest()[:32]
    return replace(source, place=Path(name))
