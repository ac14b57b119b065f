"""BMP: its size; there is nothing to leave out."""

from deployments.errors import ImageTooLarge, InvalidImage
from deployments.image_formats.header import Header, damaged

KIND = "BMP"

_CORE_HEADER_BYTES = 12
"""Of the oldest header, with sides of 16 bits."""

MAX_RUN_LENGTH_BYTES = 2 * 2**20
"""Of a file with run lengths, which are read one by one, in about 1.5 s for this many bytes."""

_PX_A_RUN_BYTE = 48
"""That are decoded in the time that one byte of run lengths takes."""

_RUN_LENGTHS = (1, 2)
_COMPRESSIONS = {0: "none", 1: "RLE8", 2: "RLE4", 3: "bit fields"}


def read_header(data: memoryview) -> Header:
    """Raises InvalidImage."""
    if len(data) < 26:
        raise damaged("its size is missing")
    header_bytes = int.from_bytes(data[14:18], "little")
    if header_bytes == _CORE_HEADER_BYTES:
        width_px, height_px = (int.from_bytes(data[at : at + 2], "little") for at in (18, 20))
        return Header(KIND, height_px, width_px, [data])
    if len(data) < 34:
        raise damaged("its size is missing")
    compression = int.from_bytes(data[30:34], "little")
    if compression not in _COMPRESSIONS:
        raise InvalidImage(f"a BMP with compression {compression} is not read; save it without compression")
    if compression in _RUN_LENGTHS and len(data) > MAX_RUN_LENGTH_BYTES:
        raise ImageTooLarge(
            f"the run-length coded BMP has {len(data)} bytes, the limit for these is {MAX_RUN_LENGTH_BYTES}"
        )
    width_px, height_px = (int.from_bytes(data[at : at + 4], "little", signed=True) for at in (18, 22))
    effort_px = len(data) * _PX_A_RUN_BYTE if compression in _RUN_LENGTHS else 0
    return Header(KIND, abs(height_px), abs(width_px), [data], effort_px=effort_px)
