"""TIFF and BigTIFF: the tags of the first image that make pixels, in a directory of their own (TIFF 6.0).

The orientation is left out, so that the decoder gives the file's own pixels as for every other format.
"""

import struct

from deployments.errors import InvalidImage
from deployments.image_formats.header import MAX_PARTS, Header, damaged, not_read, too_many
from deployments.image_formats.tags import ORIENTATION, Directory

KIND = "TIFF"

MAX_SAMPLES = 6
"""Values of a pixel, extra ones included."""

MAX_PIECES_BYTES = 64 * 2**20
"""Of all strips or tiles together, by their byte counts: pieces may share their bytes, and each is decoded anew."""

_PX_A_PIECE = 1000
"""That are decoded in the time that it takes to begin with a strip or tile."""

_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC, _SAMPLES, _FORMAT = 256, 257, 258, 259, 262, 277, 339
_STRIPS, _STRIP_BYTES, _TILE_WIDTH, _TILE_HEIGHT, _TILES, _TILE_BYTES = 273, 279, 322, 323, 324, 325
_COLOUR_MAP, _JPEG_TABLES = 320, 347

_COMPRESSIONS = {
    1: "none",
    2: "CCITT 1D",
    3: "CCITT G3",
    4: "CCITT G4",
    5: "LZW",
    7: "JPEG",
    8: "deflate",
    32773: "PackBits",
    32946: "deflate",
    50000: "Zstandard",
}
"""Those whose decoders need memory and time for the pixels only."""

_BITS_READ = (1, 2, 4, 8, 12, 16)
_FORMATS = {1: "whole numbers", 2: "signed whole numbers", 3: "floating-point numbers", 4: "whole numbers"}
_NOT_READ = {6: "old JPEG", 34887: "LERC", 34925: "LZMA", 50001: "WebP", 33003: "JPEG 2000", 34712: "JPEG 2000"}

_PIECES = (_STRIPS, _STRIP_BYTES, _TILES, _TILE_BYTES)
_MOST_VALUES = {**dict.fromkeys(_PIECES, MAX_PARTS), _COLOUR_MAP: 3 * 256, _JPEG_TABLES: 65_536}
_KEPT = (
    *(_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _PHOTOMETRIC, 266, _STRIPS, _SAMPLES, 278, _STRIP_BYTES, 284, 292, 293),
    *(317, _COLOUR_MAP, _TILE_WIDTH, _TILE_HEIGHT, _TILES, _TILE_BYTES, 338, _FORMAT, _JPEG_TABLES, 530, 532),
)
"""In rising order, as the format wants them."""


def read_header(data: memoryview) -> Header:
    """Raises InvalidImage."""
    directory = Directory.first_of(data)
    height_px, width_px = directory.number(_HEIGHT, 0), directory.number(_WIDTH, 0)
    _check(directory, height_px, width_px)
    bits = directory.number(_BITS, 1)
    samples = _samples(directory, bits)
    orientation = directory.number(ORIENTATION, 1)
    return Header(
        KIND,
        height_px,
        width_px,
        _with_directory(data, directory),
        orientation if 1 <= orientation <= 8 else 1,
        samples=samples,
        bits=bits,
        is_white_zero=directory.number(_PHOTOMETRIC, 1) == 0,
        effort_px=_PX_A_PIECE
        * max((directory.tags[code].count for code in _PIECES if code in directory.tags), default=0),
    )


def _samples(directory: Directory, bits: int) -> str:
    """The type of the samples in words. Raises InvalidImage for one that is not read."""
    count, form = directory.number(_SAMPLES, 1), directory.number(_FORMAT, 1)
    words = f"{count} values a pixel of {bits}-bit {_FORMATS.get(form, 'samples of an unknown type')}"
    if bits not in _BITS_READ or form not in (1, 2, 4) or (form == 2 and bits > 8):
        raise not_read(words)
    return f"{words} with photometric interpretation {directory.number(_PHOTOMETRIC, -1)}"


def _check(directory: Directory, height_px: int, width_px: int) -> None:
    compression = directory.number(_COMPRESSION, 1)
    if compression not in _COMPRESSIONS:
        name = _NOT_READ.get(compression, "unknown")
        known = ", ".join(sorted(set(_COMPRESSIONS.values())))
        raise InvalidImage(f"a TIFF with compression {compression} ({name}) is not read; those that are: {known}")
    samples = directory.number(_SAMPLES, 1)
    if samples > MAX_SAMPLES:
        raise InvalidImage(f"the TIFF has {samples} values a pixel, the limit is {MAX_SAMPLES}")
    for code in _KEPT:
        tag = directory.tags.get(code)
        if tag is not None and tag.count > _MOST_VALUES.get(code, 16):
            if code in _PIECES:
                raise too_many(KIND, "strips or tiles")
            raise damaged(f"its tag {code} has {tag.count} values")
    for code in (_STRIP_BYTES, _TILE_BYTES):
        size_bytes = sum(directory.numbers(code, MAX_PARTS))
        if size_bytes > MAX_PIECES_BYTES or (code in directory.tags and not size_bytes):
            raise damaged(f"its strips or tiles have {size_bytes} bytes, not 1 to {MAX_PIECES_BYTES}")
    tile_height_px, tile_width_px = directory.number(_TILE_HEIGHT, 0), directory.number(_TILE_WIDTH, 0)
    # Tiles are multiples of 16, so that a small image lies in one that is larger; but not by much.
    if tile_height_px > max(2 * height_px, 1024) or tile_width_px > max(2 * width_px, 1024):
        raise damaged(f"its tiles of {tile_width_px} x {tile_height_px} are far larger than itself")


def _with_directory(data: memoryview, directory: Directory) -> list[bytes | memoryview]:
    """The file with the kept tags only, in the place of its directory, and with no other directory. Its length stays,
    so that a file that is cut off lacks as many pixels as before."""
    codes = [code for code in _KEPT if code in directory.tags]
    count = struct.pack(f"{directory.order}{'Q' if directory.is_big else 'H'}", len(codes))
    entries = b"".join(directory.tags[code].entry for code in codes)
    kept = (count + entries).ljust(directory.end - directory.start, b"\0")
    return [data[: directory.start], kept, data[directory.end :]]
