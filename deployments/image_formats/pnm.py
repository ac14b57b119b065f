"""PBM, PGM and PPM in their binary forms (P4, P5, P6), read here: they are a short header and plain values."""

import re

import numpy as np
from numpy.typing import NDArray

from deployments.errors import InvalidImage
from deployments.image_formats.header import Header, damaged
from deployments.image_formats.samples import grey_rgb

KIND = "PPM"

MAX_HEADER_BYTES = 64 * 1024
"""With its comments."""

_CHANNELS = {b"P4": 1, b"P5": 1, b"P6": 3}
_REFUSED = {
    **dict.fromkeys((b"P1", b"P2", b"P3"), "a plain-text PBM, PGM or PPM (P1, P2, P3); save it in the binary form"),
    **dict.fromkeys((b"Pf", b"PF"), "a PFM of 32-bit floating-point values; convert it to 8 or 16 bits"),
    b"P7": "a PAM; save it as PPM or PNG",
}
BEGINNINGS = (*_CHANNELS, *_REFUSED)

_NUMBER = re.compile(rb"(?:\s|#[^\r\n]*+[\r\n])++(\d{1,10})(?=[\s#])")


def read_header(data: memoryview) -> Header:
    """Raises InvalidImage."""
    kind = bytes(data[:2])
    if kind in _REFUSED:
        raise InvalidImage(f"not read: {_REFUSED[kind]}")
    width_px, height_px, _, start = _numbers(data)
    return Header(KIND, height_px, width_px, [data, data[start:]])


def pixels_of(header: Header) -> NDArray[np.uint8]:
    """RGB uint8. The high byte of 16-bit values is kept; smaller ranges are stretched to 255. Raises InvalidImage."""
    data, content = (memoryview(part) for part in header.parts)
    kind, highest = bytes(data[:2]), _numbers(data)[2]
    channels = _CHANNELS[kind]
    if kind == b"P4":
        rows = _values(content, np.dtype(np.uint8), header.height_px, (header.width_px + 7) // 8)
        values = (1 - np.unpackbits(rows, axis=1, count=header.width_px)) * np.uint8(255)
        return grey_rgb(values)
    dtype = np.dtype(np.uint8 if highest < 256 else ">u2")
    values = _values(content, dtype, header.height_px, header.width_px * channels)
    eight_bit = values if highest == 255 else _scaled(values, highest)
    if channels == 1:
        return grey_rgb(eight_bit)
    return eight_bit.reshape(header.height_px, header.width_px, 3)


def _values(content: memoryview, dtype: "np.dtype[np.generic]", rows: int, columns: int) -> NDArray[np.uint8]:
    size_bytes = rows * columns * dtype.itemsize
    if len(content) < size_bytes:
        raise damaged(f"it has {len(content)} bytes of pixels and needs {size_bytes}")
    return np.frombuffer(content[:size_bytes], dtype).reshape(rows, columns)


def _scaled(values: NDArray[np.generic], highest: int) -> NDArray[np.uint8]:
    """A value above `highest` counts as `highest`. Row by row, so that other threads get their turn."""
    possible = np.minimum(np.arange(256 if highest < 256 else 65536), highest)
    table = (possible >> 8 if highest == 65535 else (possible * 255 + highest // 2) // highest).astype(np.uint8)
    scaled = np.empty(values.shape, np.uint8)
    for row, row_values in zip(scaled, values, strict=True):
        row[:] = table[row_values]
    return scaled


def _numbers(data: memoryview) -> tuple[int, int, int, int]:
    """Width, height, highest value, and where the pixels begin."""
    is_bits = bytes(data[:2]) == b"P4"
    found, at = [], 2
    for _ in range(2 if is_bits else 3):
        number = _NUMBER.match(data, at, min(len(data), MAX_HEADER_BYTES))
        if number is None:
            raise damaged(f"its header is none, or longer than {MAX_HEADER_BYTES} bytes")
        found.append(int(number[1]))
        at = number.end()
    highest = 1 if is_bits else found[2]
    if not 1 <= highest <= 65535:
        raise damaged(f"its highest value is {highest}, not 1 to 65535")
    return found[0], found[1], highest, at + 1
