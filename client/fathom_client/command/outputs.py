"""Where answers go: JSON lines, a file for each image, or one file for all. What is there is whole at any moment."""

from __future__ import annotations

import mimetypes
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Protocol

from fathom_client.answers import Prediction
from fathom_client.command.console import UsageError
from fathom_client.command.inputs import Source
from fathom_client.command.written import Asked, append, opened_at, whole_lines, write_whole
from fathom_client.system import Exported

Answer = Prediction | Exported

RECORD = ".fathom-predict.jsonl"
ENDINGS = {
    "application/json": "json",
    "application/xml": "xml",
    "application/zip": "zip",
    "image/jpeg": "jpg",
    "image/png": "png",
    "text/csv": "csv",
    "text/xml": "xml",
}
"""Where a machine's own list of media types may say otherwise."""


class Output(Protocol):
    """Used as a context. Nothing is written before the first answer is there."""

    @property
    def done(self) -> set[str]:
        """Names of sources that an earlier run has done."""
        ...

    def __enter__(self) -> None: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        """Leaves what is done."""
        ...

    def add(self, source: Source, answer: Answer) -> None:
        """Keeps one answer."""
        ...


class Lines:
    """JSON lines, appended one by one to a file or to standard output."""

    def __init__(self, path: Path | None, asked: Asked, resume: bool) -> None:
        self.done: set[str] = set()
        self._path = path or Path()
        self._asked = asked
        self._end: int | None = None
        self._stream: IO[bytes] | None = sys.stdout.buffer if path is None else None
        if path is not None and resume and path.exists():
            self._end = 0
            for end, line in whole_lines(path):
                self._end = end
                began = line.get("asked")
                if not isinstance(began, dict) or "file" not in line:
                    raise UsageError(f"{path}: these are no JSON lines of `fathom predict`")
                asked.must_be({**began, "format": "json"}, path)
                self.done.add(line["file"])

    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None:
        if self._stream is not None and self._stream is not sys.stdout.buffer:
            self._stream.close()

    def add(self, source: Source, answer: Answer) -> None:
        """At once, so that a reader of a pipe sees it, and nothing is lost."""
        assert isinstance(answer, Prediction)
        asked = {"model": self._asked.model, "options": dict(self._asked.options)}
        if self._stream is None:
            self._stream = opened_at(self._path, self._end)
        append(self._stream, {"file": source.name, "asked": asked, **answer.raw})


class Folder:
    """A file for each image, in folders as the images are, with a record of what is done."""

    def __init__(self, folder: Path, asked: Asked, sources: Sequence[Source], resume: bool) -> None:
        self.files: dict[str, Path] = {}
        self._folder = folder
        self._asked = asked
        self._record = folder / RECORD
        self._end: int | None = None
        self._lines: IO[bytes] | None = None
        self._stems = Counter(source.place.with_suffix("") for source in sources)
        places = Counter(source.place for source in sources)
        if twice := [str(place) for place, times in places.items() if times > 1]:
            raise UsageError(f"several of these images would have the same answer's file: {', '.join(twice[:3])}")
        if resume and self._record.exists():
            self._read_record()

    @property
    def done(self) -> set[str]:
        """Those whose files are still there."""
        return {name for name, file in self.files.items() if (self._folder / file).exists()}

    def _read_record(self) -> None:
        for end, line in whole_lines(self._record):
            self._end = end
            if "file" in line and "answer" in line:
                self.files[str(line["file"])] = Path(str(line["answer"]))
            else:
                self._asked.must_be(line, self._folder)

    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None:
        if self._lines is not None:
            self._lines.close()

    def add(self, source: Source, answer: Answer) -> None:
        """First the file, then its line in the record."""
        assert isinstance(answer, Exported)
        file = self._file_of(source, ending_of(answer.media_type))
        write_whole(self._folder / file, answer.content)
        self.files[source.name] = file
        if self._lines is None:
            self._lines = opened_at(self._record, self._end)
            if self._end is None:
                append(self._lines, self._asked.members())
        append(self._lines, {"file": source.name, "answer": file.as_posix()})

    def _file_of(self, source: Source, ending: str) -> Path:
        """frame.xml for frame.jpg; frame.jpg.xml where there is a frame.png, too."""
        stem = source.place.with_suffix("")
        base = stem if self._stems[stem] == 1 else source.place
        return base.with_name(f"{base.name}.{ending}")


class Single:
    """The one file for one image, or standard output."""

    def __init__(self, path: Path | None, sources: Sequence[Source], resume: bool) -> None:
        self.done = {source.name for source in sources} if resume and path is not None and path.exists() else set()
        self._path = path

    def __enter__(self) -> None: ...

    def __exit__(self, *_: object) -> None: ...

    def add(self, source: Source, answer: Answer) -> None:
        """The answer is written as it is."""
        del source
        assert isinstance(answer, Exported)
        if self._path is None:
            sys.stdout.buffer.write(answer.content)
            sys.stdout.buffer.flush()
        else:
            write_whole(self._path, answer.content)


def ending_of(media_type: str) -> str:
    """Of a file's name, without the dot."""
    return ENDINGS.get(media_type) or (mimetypes.guess_extension(media_type) or ".bin")[1:]
