"""GIF: the screen and the first frame; comments, applications' data and further frames are left out (GIF89a)."""

import re

from deployments.image_formats.header import MAX_PARTS, Header, Kept, damaged, too_many

KIND = "GIF"

_EXTENSION, _FRAME = 0x21, 0x2C
_BLOCK = re.compile(rb"[!,;]")
"""Where a block begins, or the file ends; bytes between blocks count for nothing, as zeros that some encoders write.
"""

MAX_FILL_BYTES = 64 * 1024
"""Between two blocks. They are searched in one go in which no other thread gets its turn."""

_CONTROL, _CONTROL_BYTES = b"\xf9\4", 8
"""The extension that says which colour is transparent."""


def read_header(data: memoryview) -> Header:
    """Raises InvalidImage where no frame is found."""
    if len(data) < 13:
        raise damaged("it ends before its image")
    kept = Kept(data)
    before = 13 + _palette_bytes(data[10])
    blocks = 0
    while (at := _next_block(data, before)) < len(data) and data[at] == _EXTENSION:
        is_control = bytes(data[at + 1 : at + 3]) == _CONTROL
        end = at + 2
        blocks += 1
        while end < len(data) and data[end] and blocks <= MAX_PARTS:
            end += 1 + data[end]
            blocks += 1
        if blocks > MAX_PARTS:
            raise too_many(KIND, "blocks before its first frame")
        end += 1
        kept.skip(before, at if is_control and end - at == _CONTROL_BYTES else end)
        before = end
    if at + 10 > len(data) or data[at] != _FRAME:
        raise damaged("it has no frame")
    kept.skip(before, at)
    left, top, width, height = (int.from_bytes(data[at + by : at + by + 2], "little") for by in (1, 3, 5, 7))
    screen_width, screen_height = (int.from_bytes(data[by : by + 2], "little") for by in (6, 8))
    return Header(KIND, max(screen_height, top + height), max(screen_width, left + width), kept.parts())


def _next_block(data: memoryview, at: int) -> int:
    found = _BLOCK.search(data, at, at + MAX_FILL_BYTES)
    if found is None and at + MAX_FILL_BYTES < len(data):
        raise damaged(f"it has more than {MAX_FILL_BYTES} bytes between its blocks")
    return found.start() if found else len(data)


def _palette_bytes(flags: int) -> int:
    return 3 * 2 ** ((flags & 7) + 1) if flags & 0x80 else 0
