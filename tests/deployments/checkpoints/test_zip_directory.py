"""The claims at the end of a zip file, of both kinds of records, without opening the archive."""

import io
import struct
import zipfile

import pytest

from deployments.checkpoints.zip_directory import ZipDirectory, read_zip_directory


def archive(count: int = 3, comment: bytes = b"") -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for number in range(count):
            file.writestr(f"entry-{number}", b"x")
        file.comment = comment
    return buffer.getvalue()


def test_entries_and_bytes_are_those_of_the_archive() -> None:
    content = archive(3)
    start = content.index(b"PK\x01\x02")
    assert read_zip_directory(io.BytesIO(content)) == ZipDirectory(3, content.index(b"PK\x05\x06") - start)


def test_the_records_of_a_large_archive_win() -> None:
    """As zipfile reads them: what the small record says does not count then."""
    large = struct.pack("<4sQ2H2L4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, 70_000, 70_000, 9_000_000, 0)
    locator = struct.pack("<4sLQL", b"PK\x06\x07", 0, 0, 1)
    end = struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 1, 1, 10, 0, 0)
    assert read_zip_directory(io.BytesIO(large + locator + end)) == ZipDirectory(70_000, 9_000_000)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", archive()[:-1], archive(comment=b"more"), bytes(500)])
def test_any_other_end_is_refused(content: bytes) -> None:
    with pytest.raises(zipfile.BadZipFile, match="not a zip archive, or one that is cut short or has a comment"):
        read_zip_directory(io.BytesIO(content))
