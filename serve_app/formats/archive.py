"""Zips, with the same bytes for the same content."""

import io
import zipfile
from collections.abc import Iterable

from serve_app.formats.contract import MAX_WRITTEN_BYTES, too_large

_NO_TIME = (1980, 1, 1, 0, 0, 0)
"""The earliest that a zip can say."""


def zipped(files: Iterable[tuple[str, bytes]], is_compressed: bool = True) -> bytes:
    """A zip of (name, content), in this order, made as they come. Names must differ.

    is_compressed: whether the content still needs it; JPEGs and PNGs do not.
    Raises InvalidRequest where it would be larger than an answer may be.
    """
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w") as archive:
        for name, content in files:
            entry = zipfile.ZipInfo(name, _NO_TIME)
            entry.compress_type = zipfile.ZIP_DEFLATED if is_compressed else zipfile.ZIP_STORED
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, content)
            if written.tell() > MAX_WRITTEN_BYTES:
                raise too_large()
    return written.getvalue()
