"""The zip file that `torch.save` writes, opened without trust: its entries and their bytes.

Layout: `<root>/data.pkl`, `<root>/data/<key>` (raw little-endian storages), `<root>/version`, and in newer
files `<root>/byteorder` and a few dot files. `<root>` is any folder name. torch stores its entries
uncompressed, so that a compressed one is refused: with that, no entry is larger than the file itself.
"""

import struct
import zipfile
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Self

from deployments.checkpoints.file_kinds import HEAD_BYTES, found_instead
from deployments.checkpoints.zip_directory import read_zip_directory
from deployments.errors import ModelUnavailable

MAX_ENTRIES = 100_000
MAX_DIRECTORY_BYTES = 32 * 2**20
MAX_PICKLE_BYTES = 8 * 2**20

# Tensors may share a storage, so more may be read than the file holds; a file whose tensors all point at one
# large storage must still not fill the memory.
_MAX_READS_OF_FILE = 4

_DAMAGE = (zipfile.BadZipFile, struct.error, ValueError, EOFError, NotImplementedError, OverflowError)
_ENCRYPTED_FLAG = 0x1
_LEGACY_MAGIC = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."


class Archive:
    """One open checkpoint file; close it when the weights have been read.

    Raises ModelUnavailable, from every method, with the file's name and what was found in it.
    """

    def __init__(self, path: Path) -> None:
        self.name = path.name
        try:
            self._size_bytes = path.stat().st_size
            with path.open("rb") as file:
                self._check_kind(file)
            self._zip = zipfile.ZipFile(path)
        except OSError as error:
            raise ModelUnavailable(f"{path}: cannot read the weights: {error.strerror}") from error
        except _DAMAGE as error:
            raise self.refusal(f"the zip archive is damaged: {error}") from error
        try:
            self._entries = self._checked_entries()
        except BaseException:
            self._zip.close()
            raise
        self._bytes_read = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the file back; tensors cannot be read any more."""
        self._zip.close()

    def refusal(self, reason: str) -> ModelUnavailable:
        """The error that refuses this file."""
        return ModelUnavailable(f"{self.name}: {reason}")

    def pickle_bytes(self) -> bytes:
        """The pickle that describes the object tree; at most MAX_PICKLE_BYTES."""
        size = self._entries["data.pkl"].file_size
        if size > MAX_PICKLE_BYTES:
            raise self.refusal(f"data.pkl has {size} bytes, the limit is {MAX_PICKLE_BYTES}")
        return self._read("data.pkl")

    def storage_bytes(self, key: str, expected_bytes: int) -> bytes:
        """The raw bytes of storage `key`, checked by `storage_size` and by the archive's CRC."""
        self.check_storage(key, expected_bytes)
        self._bytes_read += expected_bytes
        if self._bytes_read > _MAX_READS_OF_FILE * self._size_bytes:
            raise self.refusal(f"its tensors amount to more than {_MAX_READS_OF_FILE} times the file's size")
        return self._read(f"data/{key}")

    def check_storage(self, key: str, expected_bytes: int) -> None:
        """Refuse a storage that is not there or has another size than the pickle says."""
        entry = self._entries.get(f"data/{key}")
        if entry is None:
            raise self.refusal(f"the pickle names storage {key[:40]!r}, which the archive does not hold")
        if entry.file_size != expected_bytes:
            raise self.refusal(f"storage {key[:40]!r} has {entry.file_size} bytes, the pickle says {expected_bytes}")

    def _read(self, relative: str) -> bytes:
        return self._read_entry(self._entries[relative])

    def _read_entry(self, entry: zipfile.ZipInfo) -> bytes:
        try:
            return self._zip.read(entry)
        except (OSError, *_DAMAGE) as error:
            raise self.refusal(f"entry {entry.filename[:80]!r} is damaged: {error}") from error

    def _check_kind(self, file: BinaryIO) -> None:
        head = file.read(HEAD_BYTES)
        if head.startswith(_LEGACY_MAGIC):
            raise self.refusal(
                "a PyTorch file in the format from before version 1.6, which has no zip archive and is not "
                "read; load it with PyTorch and save it again"
            )
        if not head.startswith(b"PK\x03\x04"):
            found = found_instead(head, f"starts with {head[:8]!r}, expected a zip archive")
            raise self.refusal(f"not a PyTorch checkpoint: {found}")
        directory = read_zip_directory(file)
        if directory.entries > MAX_ENTRIES or directory.size_bytes > MAX_DIRECTORY_BYTES:
            raise self.refusal(
                f"{directory.entries} entries in a directory of {directory.size_bytes} bytes, "
                f"the limits are {MAX_ENTRIES} and {MAX_DIRECTORY_BYTES}"
            )

    def _checked_entries(self) -> dict[str, zipfile.ZipInfo]:
        """Entries by their name below the root folder."""
        roots: set[str] = set()
        entries: dict[str, zipfile.ZipInfo] = {}
        for entry in self._zip.infolist():
            root, relative = self._split_name(entry)
            self._check_entry(entry)
            if relative in entries:
                raise self.refusal(f"two entries are named {relative!r}")
            roots.add(root)
            entries[relative] = entry
        if len(roots) != 1:
            raise self.refusal(f"{len(roots)} root folders in the archive, expected one")
        total = sum(entry.file_size for entry in entries.values())
        if total > self._size_bytes:
            raise self.refusal(f"entries of {total} bytes overlap in a file of {self._size_bytes} bytes")
        self._check_layout(entries)
        return entries

    def _split_name(self, entry: zipfile.ZipInfo) -> tuple[str, str]:
        name = entry.orig_filename
        parts = name.split("/")
        if len(parts) < 2 or "\\" in name or "\0" in name or any(part in ("", ".", "..") for part in parts):
            raise self.refusal(f"the entry name {name[:80]!r} is not of the form <root>/<file>")
        return parts[0], str(PurePosixPath(*parts[1:]))

    def _check_entry(self, entry: zipfile.ZipInfo) -> None:
        if entry.flag_bits & _ENCRYPTED_FLAG:
            raise self.refusal(f"entry {entry.filename[:80]!r} is encrypted")
        if entry.compress_type != zipfile.ZIP_STORED:
            raise self.refusal(f"entry {entry.filename[:80]!r} is compressed; torch.save stores its entries as is")
        if entry.file_size != entry.compress_size:
            raise self.refusal(
                f"entry {entry.filename[:80]!r} claims {entry.file_size} bytes, holds {entry.compress_size}"
            )

    def _check_layout(self, entries: dict[str, zipfile.ZipInfo]) -> None:
        if "constants.pkl" in entries or any(name.startswith("code/") for name in entries):
            raise self.refusal("a TorchScript archive, which is a program and not read; use the training checkpoint")
        if "data.pkl" not in entries:
            raise self.refusal("not a PyTorch checkpoint: the archive holds no data.pkl")
        order = entries.get("byteorder")
        if order is not None and (order.file_size > 8 or self._read_entry(order) != b"little"):
            raise self.refusal("its numbers are not little-endian, which is not read")
