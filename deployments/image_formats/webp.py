"""WebP: its size and its first frame; profiles, notes and further frames are left out (RFC 9649)."""

from deployments.image_formats.exif import orientation_of
from deployments.image_formats.header import MAX_PARTS, Header, Kept, damaged, too_many

KIND = "WEBP"

_PX_A_BYTE = 2
"""That are decoded in the time that one byte takes: few pixels may have many."""

_NOTES = 0x20 | 0x08 | 0x04
"""Flags of a colour profile, EXIF and XMP data."""


def read_header(data: memoryview) -> Header:
    """Raises InvalidImage."""
    if len(data) < 30:
        raise damaged("it ends before its image")
    if bytes(data[12:16]) != b"VP8X":
        height_px, width_px = _frame_size(data)
        return Header(KIND, height_px, width_px, [data], effort_px=len(data) * _PX_A_BYTE)
    width_px, height_px = (1 + int.from_bytes(data[at : at + 3], "little") for at in (24, 27))
    kept, orientation = _first_frame(data)
    parts = kept.parts()
    canvas = bytes([data[20] & ~_NOTES]) + bytes(data[21:30])
    body: list[bytes | memoryview] = [b"WEBPVP8X", (10).to_bytes(4, "little"), canvas, *parts]
    size_bytes = sum(len(part) for part in body)
    whole = [b"RIFF", size_bytes.to_bytes(4, "little"), *body]
    return Header(KIND, height_px, width_px, whole, orientation, effort_px=size_bytes * _PX_A_BYTE)


def _frame_size(data: memoryview) -> tuple[int, int]:
    kind = bytes(data[12:16])
    if kind == b"VP8L" and data[20] == 0x2F:
        bits = int.from_bytes(data[21:25], "little")
        return 1 + (bits >> 14 & 0x3FFF), 1 + (bits & 0x3FFF)
    if kind == b"VP8 " and bytes(data[23:26]) == b"\x9d\x01\x2a":
        width_px, height_px = (int.from_bytes(data[at : at + 2], "little") & 0x3FFF for at in (26, 28))
        return height_px, width_px
    raise damaged("it begins with no image")


def _first_frame(data: memoryview) -> tuple[Kept, int]:
    kept, orientation, at, has_frame = Kept(data, 30), 1, 30, False
    for _ in range(MAX_PARTS):
        if at + 8 > len(data):
            kept.skip(at, len(data))
            return kept, orientation
        kind = bytes(data[at : at + 4])
        size_bytes = int.from_bytes(data[at + 4 : at + 8], "little")
        end = min(at + 8 + size_bytes + size_bytes % 2, len(data))
        if kind in (b"ANIM", b"ALPH") or (kind in (b"ANMF", b"VP8 ", b"VP8L") and not has_frame):
            if at + 8 + size_bytes > len(data):
                raise damaged("it breaks off within its image")
            has_frame = has_frame or kind in (b"ANMF", b"VP8 ", b"VP8L")
        else:
            kept.skip(at, end)
            if kind == b"EXIF":
                orientation = orientation_of(data[at + 8 : at + 8 + size_bytes])
        at = end
    raise too_many(KIND, "chunks")
