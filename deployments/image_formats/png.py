"""PNG: its chunks, of which only those that make pixels are kept (W3C PNG, section 11)."""

from deployments.image_formats.exif import orientation_of
from deployments.image_formats.header import MAX_PARTS, Header, Kept, damaged, too_many

KIND = "PNG"
SIGNATURE = b"\x89PNG\r\n\x1a\n"

_CHUNK_BYTES = 12
"""Of length, type and checksum."""


def read_header(data: memoryview) -> Header:
    """Ancillary chunks are left out, but for the transparency; a damaged one spoils nothing. Raises InvalidImage."""
    if bytes(data[12:16]) != b"IHDR" or len(data) < 33:
        raise damaged("its size is missing")
    kept = Kept(data)
    at, orientation = 8, 1
    for _ in range(MAX_PARTS):
        kind = bytes(data[at + 4 : at + 8])
        end = at + _CHUNK_BYTES + int.from_bytes(data[at : at + 4])
        if not kind.isalpha() or end > len(data):
            # The decoder says what is wrong here.
            break
        if kind[:1].islower() and kind != b"tRNS":
            kept.skip(at, end)
        if kind == b"eXIf":
            orientation = orientation_of(data[at + 8 : end - 4])
        at = end
        if kind == b"IEND":
            break
    else:
        raise too_many(KIND, "chunks")
    return Header(KIND, int.from_bytes(data[20:24]), int.from_bytes(data[16:20]), kept.parts(), orientation)
