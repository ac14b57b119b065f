"""The cache folder: which files are there, whether they are the right ones, and what is known about them.

Beside `best.pt` lie `best.pt.record.json` (what it is), and while it is fetched `best.pt.part`, `best.pt.part.json`
and `best.pt.lock`. Any tool can copy a cache, because it holds plain files, without links or absolute paths.
"""

import contextlib
import hashlib
import json
import logging
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from deployments.definition import Settings, WeightsSource
from deployments.logs import OWN_LOGGER
from deployments.weights.weights_uri import WeightsUri

logger = logging.getLogger(OWN_LOGGER)

MAX_RECORD_BYTES = 4 * 2**20

DigestOrigin = Literal["declared", "publisher", "first fetch"]

Progress = Callable[[int, int | None], None]
"""Called with the bytes received so far and the bytes in all, None when that is unknown."""


class CacheRecord(Settings):
    """What is known about one cached file, kept beside it."""

    uri: str
    """Where it came from, as it may be shown."""

    size_bytes: int
    """Its size."""

    sha256: str
    """Its SHA-256, 64 hexadecimal digits."""

    sha256_from: DigestOrigin
    """Who vouches for the hash: the definition, the publisher, or only the first fetch."""

    fetched_at: str = ""
    """When, in UTC."""

    commit: str = ""
    """The publisher's revision that a moving name such as `main` stood for."""

    labels: tuple[str, ...] | None = None
    """Class names found in the file when it was first loaded."""


@dataclass(frozen=True, slots=True)
class CacheEntry:
    """One file in the cache, which may not be there yet."""

    folder: Path
    uri: WeightsUri

    @property
    def file(self) -> Path:
        """The weights, complete and checked."""
        return self.folder / self.uri.key

    @property
    def record_file(self) -> Path:
        """What is known about the weights."""
        return self.beside(".record.json")

    @property
    def part(self) -> Path:
        """What has been fetched so far."""
        return self.beside(".part")

    @property
    def is_begun(self) -> bool:
        """Whether the file or a part of it is there."""
        return self.file.exists() or self.part.exists()

    def parts(self) -> "list[CacheEntry]":
        """The files that belong to it: itself."""
        return [self]

    def size_bytes(self) -> int:
        """Of the file; 0 when it is not there."""
        return size_of(self.file) or 0

    def beside(self, ending: str) -> Path:
        """A file of the cache's own beside the weights."""
        return self.file.with_name(self.file.name + ending)

    def record(self) -> CacheRecord | None:
        """What is known about the file; None when there is no readable record."""
        return read_record(self.record_file)

    def reason_by_size(self, source: WeightsSource) -> str:
        """Why the file cannot be the one that `source` names, judged by its size; '' when it may be.
        Reads no weights, so it is cheap enough to call every few seconds."""
        size_bytes = size_of(self.file)
        if size_bytes is None:
            return self._part_reason(source)
        record = self.record()
        expected_bytes = source.size_bytes or (record.size_bytes if record else size_bytes)
        if size_bytes != expected_bytes:
            return f"damaged: {size_bytes} bytes, expected {expected_bytes}"
        return ""

    def _part_reason(self, source: WeightsSource) -> str:
        fetched_bytes = size_of(self.part)
        if fetched_bytes is None:
            return "not there"
        total_bytes = source.size_bytes
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
            total_bytes = int(json.loads(_read_limited(self.beside(".part.json")))["size_bytes"])
        of_all = f" of {megabytes(total_bytes)}" if total_bytes else ""
        return f"fetched in part: {megabytes(fetched_bytes)}{of_all}"

    def reason(self, source: WeightsSource) -> str:
        """Why the file is not the one that `source` names; '' when it is. Reads the whole file. A file without a
        record, such as one that was put there by hand, gets one."""
        reason = self.reason_by_size(source)
        if reason:
            return reason
        record = self.record()
        expected = source.sha256 or (record.sha256 if record else None)
        try:
            found = digest_of(self.file)
        except OSError as error:
            return f"not readable: {error.strerror}"
        if expected is not None and found != expected:
            return f"damaged: its sha256 is {found}, expected {expected}"
        if record is None:
            self.note(found, "declared" if source.sha256 else "first fetch")
        return ""

    def note(self, sha256: str, origin: DigestOrigin, commit: str = "", size_bytes: int | None = None) -> None:
        """Write the record. A cache that cannot be written, such as a DVD, goes without."""
        record = CacheRecord(
            uri=self.uri.shown,
            size_bytes=size_of(self.file) or 0 if size_bytes is None else size_bytes,
            sha256=sha256,
            sha256_from=origin,
            fetched_at=datetime.now(UTC).isoformat(timespec="seconds"),
            commit=commit,
        )
        self._write(record)

    def remember_labels(self, labels: tuple[str, ...]) -> None:
        """Keep the class names that were found in the file."""
        record = self.record()
        if record is not None and record.labels != labels:
            self._write(record.model_copy(update={"labels": labels}))

    def _write(self, record: CacheRecord) -> None:
        try:
            write_atomically(self.record_file, record.model_dump_json(indent=1).encode())
        except OSError as error:
            logger.warning("the record of %s could not be written: %s", self.file, error)


def read_record(path: Path) -> CacheRecord | None:
    """The record in `path`; None when there is none that can be read."""
    with contextlib.suppress(OSError, ValidationError):
        return parse_record(_read_limited(path))
    return None


def parse_record(text: bytes) -> CacheRecord:
    """A record as it is stored. Raises pydantic's ValidationError."""
    return CacheRecord.model_validate_json(text)


def size_of(path: Path) -> int | None:
    """Size of a plain file in bytes; None when there is none."""
    with contextlib.suppress(OSError):
        if path.is_file():
            return path.stat().st_size
    return None


def digest_of(path: Path, algorithm: str = "sha256") -> str:
    """Hexadecimal digest of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, algorithm).hexdigest()


def megabytes(size_bytes: int) -> str:
    """A size for people."""
    return f"{size_bytes / 1e6:.1f} MB"


def write_atomically(path: Path, content: bytes) -> None:
    """Write a small file so that a reader finds the old or the new content, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise


def _read_limited(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(MAX_RECORD_BYTES)
