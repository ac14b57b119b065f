"""JPEG: the segments before the image, and how often its decoder would walk over it (ITU T.81, annex B)."""

import re

from deployments.errors import ImageTooLarge, InvalidImage
from deployments.image_formats.exif import orientation_of
from deployments.image_formats.header import Header, Kept, damaged

KIND = "JPEG"

MAX_SEGMENTS = 4096
"""Of one file. Colour profiles and panoramas have up to a few hundred of 64 KiB each."""

MAX_SCANS = 100
"""Of one image. Encoders write 1 to 20."""

MAX_SCANNED_PX = 1_280_000_000
"""Scans x pixels: a progressive decoder walks over the whole image in each scan. 20 scans of 64 megapixels."""

_SCANS_A_PICTURE = 16
"""That cost as much as the rest of decoding."""

MAX_FILL_BYTES = 64 * 1024
"""Between two segments, where decoders pass over anything."""

_SEARCH_BYTES = 2**20
"""That are searched at once, so that other threads get their turn."""

_START_OF_SCAN, _END, _TABLES, _PROGRESSIVE = 0xDA, 0xD9, 0xC4, 0xC2
_BASELINE_AND_PROGRESSIVE = (0xC0, 0xC1, _PROGRESSIVE)
_OTHER_FRAMES = {
    0xC3: "lossless",
    **dict.fromkeys((0xC5, 0xC6, 0xC7, 0xCD, 0xCE, 0xCF), "hierarchical"),
    **dict.fromkeys((0xC9, 0xCA, 0xCB), "arithmetic coded"),
    0xF7: "JPEG-LS",
}
_KEPT = frozenset((*_BASELINE_AND_PROGRESSIVE, _TABLES, 0xDB, 0xDD, 0xE0, 0xEE))
"""Frames, Huffman and quantisation tables, the restart interval, and what tells the colours: JFIF and Adobe."""

_STAND_ALONE = frozenset((0x01, *range(0xD0, 0xD9)))
_MARKER = re.compile(rb"\xff[^\x00\xff]")
_MARKER_IN_SCAN = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")


def read_header(data: memoryview) -> Header:
    """Raises InvalidImage, and ImageTooLarge when decoding would take too many scans."""
    kept = Kept(data)
    before, orientation, frame = 2, 1, None
    for _ in range(MAX_SEGMENTS):
        kind, at, end = _segment(data, before)
        if at > before:
            kept.skip(before, at)
        if kind == _START_OF_SCAN:
            break
        if kind in _BASELINE_AND_PROGRESSIVE and frame is None:
            frame = kind, data[at + 4 : end]
        if kind in _OTHER_FRAMES:
            raise InvalidImage(f"{_OTHER_FRAMES[kind]} JPEG is not read; save it as baseline or progressive JPEG")
        if kind not in _KEPT:
            kept.skip(at, end)
        if kind == 0xE1 and orientation == 1 and bytes(data[at + 4 : at + 10]) == b"Exif\0\0":
            orientation = orientation_of(data[at + 10 : end])
        before = end
    else:
        raise _too_many_segments()
    if frame is None or len(frame[1]) < 6:
        raise damaged("its size is missing")
    said = frame[1]
    height_px, width_px = int.from_bytes(said[1:3]), int.from_bytes(said[3:5])
    effort_px = 0
    is_one_scan = frame[0] != _PROGRESSIVE and data[at + 4] == said[5]
    if not is_one_scan:
        scans = _scans(data, end)
        _check_scans(scans, height_px * width_px)
        effort_px = scans * height_px * width_px // _SCANS_A_PICTURE
    return Header(KIND, height_px, width_px, kept.parts(), orientation, effort_px=effort_px)


def _segment(data: memoryview, at: int) -> tuple[int, int, int]:
    """Kind, start and end of the next segment at or behind `at`."""
    if at + 4 > len(data) or data[at] != 0xFF or data[at + 1] in (0x00, 0xFF):
        found = _MARKER.search(data, at, min(at + MAX_FILL_BYTES, len(data) - 2))
        if found is None:
            raise damaged(f"it ends before its image, or has more than {MAX_FILL_BYTES} bytes between segments")
        at = found.start()
    kind = data[at + 1]
    if kind == _END:
        raise damaged("it has no image")
    if kind in _STAND_ALONE:
        return kind, at, at + 2
    end = at + 2 + max(data[at + 2] << 8 | data[at + 3], 2)
    if end > len(data) or (kind == _START_OF_SCAN and end < at + 6):
        raise damaged("it breaks off before its image")
    return kind, at, end


def _scans(data: memoryview, at: int) -> int:
    """How many scans there are; `at` is behind the header of the first one. Ends early above the limit."""
    scans = 1
    for _ in range(MAX_SEGMENTS):
        at = _next_in_scan(data, at)
        if at + 1 >= len(data) or data[at + 1] == _END:
            return scans
        scans += data[at + 1] == _START_OF_SCAN
        if scans > MAX_SCANS:
            return scans
        is_alone = data[at + 1] in _STAND_ALONE
        at += 2 if is_alone else 2 + max(int.from_bytes(data[at + 2 : at + 4]), 2)
    raise _too_many_segments()


def _next_in_scan(data: memoryview, at: int) -> int:
    """Where the next marker is that ends the data of a scan; the length of `data` where there is none."""
    for start in range(at, len(data), _SEARCH_BYTES):
        found = _MARKER_IN_SCAN.search(data, start, start + _SEARCH_BYTES + 1)
        if found is not None:
            return found.start()
    return len(data)


def _check_scans(scans: int, pixels: int) -> None:
    if scans > MAX_SCANS:
        raise ImageTooLarge(f"the JPEG has more than {MAX_SCANS} scans, which is the limit")
    if scans * pixels > MAX_SCANNED_PX:
        raise ImageTooLarge(
            f"the JPEG has {scans} scans of {pixels} pixels; scans x pixels may be at most {MAX_SCANNED_PX}"
        )


def _too_many_segments() -> InvalidImage:
    return InvalidImage(f"the JPEG file has more than {MAX_SEGMENTS} segments, which is the limit")
