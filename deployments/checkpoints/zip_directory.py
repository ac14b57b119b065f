"""The size of a zip file's directory, read before `zipfile` opens it.

`zipfile` makes an object of every entry before anyone can count them, so that a small hostile file could fill the
memory. This reads only the records at the end of the file, at the places where `zipfile` will look for them.
"""

import struct
import zipfile
from dataclasses import dataclass
from typing import BinaryIO

_END = struct.Struct("<4s4H2LH")
_END64 = struct.Struct("<4sQ2H2L4Q")
_LOCATOR64_BYTES = 20
_END_MARK, _END64_MARK, _LOCATOR64_MARK = b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07"


@dataclass(frozen=True, slots=True)
class ZipDirectory:
    """What the end of a zip file claims of its directory."""

    entries: int
    size_bytes: int


def read_zip_directory(file: BinaryIO) -> ZipDirectory:
    """Read the claims of an open file. Raises BadZipFile when it does not end as a zip archive without a comment."""
    file_bytes = file.seek(0, 2)
    file.seek(-min(file_bytes, _END64.size + _LOCATOR64_BYTES + _END.size), 2)
    tail = file.read()
    end = tail[-_END.size :]
    # With a comment `zipfile` would search for the directory, and might find another one.
    if len(end) < _END.size or not end.startswith(_END_MARK) or not end.endswith(b"\0\0"):
        raise zipfile.BadZipFile("not a zip archive, or one that is cut short or has a comment")
    _, _, _, _, entries, size_bytes, _, _ = _END.unpack(end)
    if tail[_END64.size :].startswith(_LOCATOR64_MARK) and tail.startswith(_END64_MARK):
        *_, entries, size_bytes, _ = _END64.unpack(tail[: _END64.size])
    return ZipDirectory(entries, size_bytes)
